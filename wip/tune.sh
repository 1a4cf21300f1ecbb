# tune.sh NAME UPDATES EDITOR SET...
cd .; source .venv/bin/activate; export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
name=$1; n=$2; ed=$3; shift 3
edit-grpo train edit_training/configs/shapes.yaml --url http://127.0.0.1:8100 --set policy.name=$ed --set out=runs/tune/$name --set data.edits=[runs/tune/data/edits.jsonl] --set data.held_out=null --set grid_every=null --set updates=$n --set save_every=5 --set keep=50 "$@"
