. wip/env.sh
edit-grpo sample --checkpoint $1 --data runs/d/held --out runs/j/$2 --steps ${3:-8} >/dev/null 2>&1; edit-rrm-train shapes judge --edits runs/d/held/edits.jsonl --pictures runs/j/$2 --out runs/j/$2.jsonl 2>&1 | grep -E " all |success|agree" | head; ls runs/j/$2 | head -3
