"""The rules of deploy/prometheus as the object that the Prometheus operator reads.

`python deploy/k8s/monitoring/prometheus_rule.py` writes prometheus-rule.yaml; a test compares.
"""

from pathlib import Path

import yaml

HERE = Path(__file__).parent
TARGET = HERE / "prometheus-rule.yaml"
RULES = HERE.parents[1] / "prometheus" / "rules"
_HEAD = "# Written by prometheus_rule.py from deploy/prometheus/rules; change those.\n"


def text() -> str:
    """The file's content."""
    files = sorted(RULES.glob("*.yml"), reverse=True)  # what is recorded comes before what reads it
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "edit-rrm", "labels": {"app.kubernetes.io/name": "edit-rrm"}},
        "spec": {"groups": groups},
    }
    return _HEAD + yaml.safe_dump(rule, sort_keys=False, width=200)


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
