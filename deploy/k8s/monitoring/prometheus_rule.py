"""The rules of deploy/prometheus as the object that the Prometheus operator reads.

`python deploy/k8s/monitoring/prometheus_rule.py` writes prometheus-rule.yaml; a test compares. Behind it may
stand the address that docs/ is served at: links begin with it, not with Prometheus's label edit_rrm_docs.
"""

import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent
TARGET = HERE / "prometheus-rule.yaml"
RULES = HERE.parents[1] / "prometheus" / "rules"
_LABEL = "{{ $externalLabels.edit_rrm_docs }}"
_HEAD = "# Written by prometheus_rule.py from deploy/prometheus/rules; change those.\n"


def text(docs_url: str = _LABEL) -> str:
    """The file's content; `docs_url` is where docs/ is served."""
    files = sorted(RULES.glob("*.yml"), reverse=True)  # what is recorded comes before what reads it
    read = [file.read_text().replace(_LABEL, docs_url.rstrip("/")) for file in files]
    groups = [group for content in read for group in yaml.safe_load(content)["groups"]]
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "edit-rrm", "labels": {"app.kubernetes.io/name": "edit-rrm"}},
        "spec": {"groups": groups},
    }
    return _HEAD + yaml.safe_dump(rule, sort_keys=False, width=200)


if __name__ == "__main__":
    TARGET.write_text(text(*sys.argv[1:2]), encoding="utf-8")
