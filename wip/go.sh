python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site .whl/*.whl || exit 1
mkdir -p /tmp/site/edit_rrm-0.1.0.dist-info; printf "Metadata-Version: 2.1\nName: edit-rrm\nVersion: 0.1.0\n" > /tmp/site/edit_rrm-0.1.0.dist-info/METADATA; . .dev/env.sh
exec python3 .dev/train.py "$@"
