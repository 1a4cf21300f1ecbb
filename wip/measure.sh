. wip/env.sh; name=$1; u=$2; T=runs/tune/$name
P=$T/checkpoints/update-$(printf %07d $u)/policy; [ -d $P ] || P=$T/final
edit-grpo sample --checkpoint $P --data runs/d/held --out $T/s$u --steps 8 >/dev/null 2>&1; edit-rrm-train shapes judge --edits runs/d/held/edits.jsonl --pictures $T/s$u --out $T/j$u.jsonl 2>&1 | grep -E " all "
python wip/score.py $T/s$u $T/j$u.jsonl
