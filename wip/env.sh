export PYTHONPATH=/tmp/site:$PWD/rrm:$PWD/server:$PWD/client:$PWD/rrm_training:$PWD/edit_training HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 COLUMNS=150 CUDA_MODULE_LOADING=LAZY
ulimit -n $(ulimit -Hn)
gen() { # from to count
  for k in $(seq $1 $2); do python3 -m edit_rrm_training.cli shapes generate --seed $k --count $3 --candidates 3 --out /tmp/edits/$k >/tmp/gen.$k 2>&1 & done; }
