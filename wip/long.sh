# long.sh RRM_STEPS EDITOR_SECONDS
t0=$(date +%s); say() { echo "[$(( $(date +%s) - t0 )) s] $*"; }
. .dev/env.sh
python3 -m edit_rrm_training.cli tiny --continue-from server/edit_rrm_server/models/edit-rrm-tiny --find-steps $1 --out /tmp/rrm-run --workers 11 --device cuda > /tmp/rrm.log 2>&1 &
for try in 1 2; do
rm -rf /tmp/ed-smoke
echo '{"steps": 150, "batch_size": 512, "dtype": "float32", "grid_every": 100000, "lr": 2e-3}' > /tmp/smoke.json
python3 -m edit_grpo.cli pretrain-shapes --data /tmp/edits/60 --out /tmp/ed-smoke --config /tmp/smoke.json --device cuda > /tmp/ed.log 2>&1 && break
tail -25 /tmp/ed.log; export CUDA_LAUNCH_BLOCKING=1
done
unset CUDA_LAUNCH_BLOCKING
python3 - $2 <<'P'
import json,sys
rows=[json.loads(l) for l in open('/tmp/ed-smoke/log.jsonl')]
s=sum(r['step_s'] for r in rows[50:])/len(rows[50:])
print('editor s/step', s, 'losses', rows[0]['loss'], rows[-1]['loss'])
json.dump({"steps": int(float(sys.argv[1])/s), "batch_size": 512, "dtype": "float32", "grid_every": 100000, "checkpoint_every": 500, "lr": 2e-3}, open('/tmp/ed.json','w'))
P
say smoke; cat /tmp/ed.json
python3 -m edit_grpo.cli pretrain-shapes $(for k in $(seq 60 74); do echo --data /tmp/edits/$k; done) --out /tmp/ed-run --config /tmp/ed.json --device cuda --time-limit $(( $2 + 15 )) > /tmp/ed.log 2>&1
say editor; tail -3 /tmp/ed.log; tail -1 /tmp/ed-run/log.jsonl
tar cf $OUT/editor.tar -C /tmp/ed-run checkpoint settings.json; gzip -c /tmp/ed-run/log.jsonl > $OUT/editor.jsonl.gz
wait; say rrm; tail -2 /tmp/rrm.log; tail -1 /tmp/rrm-run/find.jsonl
python3 - <<'P'
import os
from safetensors.torch import load_file, save_file
import torch
s=load_file('/tmp/rrm-run/find/model.safetensors'); save_file({k:v.half() for k,v in s.items()}, os.environ['OUT']+'/rrm.safetensors', metadata={'format':'pt'})
P
gzip -c /tmp/rrm-run/find.jsonl > $OUT/find.jsonl.gz; ls -la $OUT
