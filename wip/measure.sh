# measure.sh NAME UPDATES...
cd .; source .venv/bin/activate; export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
name=$1; shift
for u in "$@"; do edit-grpo sample --checkpoint runs/tune/$name/checkpoints/update-$(printf %07d $u)/policy --data runs/gpu/held --out runs/tune/$name/s$u --steps 8 >/dev/null 2>&1; edit-rrm-train shapes judge --edits runs/gpu/held/edits.jsonl --pictures runs/tune/$name/s$u --out runs/tune/$name/j$u.jsonl 2>&1 | grep " all "; done
