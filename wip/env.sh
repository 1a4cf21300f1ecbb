export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 COLUMNS=150
source ./.venv/bin/activate; cd .
