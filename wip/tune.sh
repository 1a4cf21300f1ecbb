# NAME UPDATES EDITOR SET...
. wip/env.sh
name=$1; n=$2; ed=$3; shift 3
edit-grpo train edit_training/configs/shapes.yaml --set policy.name=$ed --set out=runs/tune/$name --set data.edits=[runs/tune/data/edits.jsonl] --set data.held_out=null --set grid_every=null --set updates=$n --set save_every=5 --set keep=50 --set reward.urls=[http://127.0.0.1:8100] "$@"
