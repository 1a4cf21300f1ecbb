. wip/env.sh
edit-grpo pretrain-shapes --data runs/d/d60 --data runs/d/d61 --data runs/d/d62 --data runs/d/d63 --data runs/d/d64 --data runs/d/d65 --held-out runs/d/held --out runs/vae --config wip/vae.json --threads 2
