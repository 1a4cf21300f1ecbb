t0=$(date +%s); say() { echo "[$(( $(date +%s) - t0 )) s] $*"; }
python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site .whl/*.whl || exit 1
mkdir -p /tmp/site/edit_rrm-0.1.0.dist-info; printf "Metadata-Version: 2.1\nName: edit-rrm\nVersion: 0.1.0\n" > /tmp/site/edit_rrm-0.1.0.dist-info/METADATA; . .dev/env.sh; say installed
nvidia-smi --query-gpu=name,memory.total --format=csv,noheader; nproc
python3 -c "import edit_rrm_training.cli, edit_grpo.cli, edit_grpo.pretraining.run, edit_rrm_training.tiny.recipe" || exit 1; say imports
gen 60 74 1700; sleep 0.1
python3 -m edit_rrm_training.cli tiny --continue-from server/edit_rrm_server/models/edit-rrm-tiny --find-steps 4 --out /tmp/rrm-smoke --workers 1 --device cuda > /tmp/rrm0.log 2>&1 || tail -30 /tmp/rrm0.log
say rrm-first
wait; say generated; du -sh /tmp/edits; tail -1 /tmp/gen.60
rm -rf /tmp/rrm-smoke
python3 -m edit_rrm_training.cli tiny --continue-from server/edit_rrm_server/models/edit-rrm-tiny --find-steps 64 --out /tmp/rrm-smoke --workers 10 --device cuda > /tmp/rrm.log 2>&1 &
python3 -m edit_grpo.cli pretrain-shapes $(for k in $(seq 60 63); do echo --data /tmp/edits/$k; done) --out /tmp/ed-smoke --config .dev/smoke.json --device cuda > /tmp/ed.log 2>&1
say editor; tail -5 /tmp/ed.log; grep -c . /tmp/ed-smoke/log.jsonl; tail -1 /tmp/ed-smoke/log.jsonl
wait; say both; tail -3 /tmp/rrm.log; tail -3 /tmp/rrm-smoke/find.jsonl
