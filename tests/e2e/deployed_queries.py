"""Every PromQL expression that is deployed, and the metrics that one names."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_OURS = re.compile(r"(?<![\w:])(?:edit_rrm_|vllm:|job\w*:)[\w:]+")


def rules() -> list[dict[str, Any]]:
    """Recording rules and alerts."""
    files = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
    return [
        rule for f in files for group in yaml.safe_load(f.read_text())["groups"] for rule in group["rules"]
    ]


def alerts() -> list[dict[str, Any]]:
    """The rules that alert."""
    return [rule for rule in rules() if "alert" in rule]


def recorded() -> set[str]:
    """Names that recording rules give."""
    return {rule["record"] for rule in rules() if "record" in rule}


def graphs(job: str, interval: str) -> dict[str, list[str]]:
    """The dashboard's expressions by panel, with Grafana's variables filled in."""
    panels = json.loads((DEPLOY / "grafana" / "edit-rrm.json").read_text())["panels"]
    return {
        panel["title"]: [
            target["expr"].replace("$job", job).replace("$__rate_interval", interval)
            for target in panel["targets"]
        ]
        for panel in panels
        if panel["type"] != "row"
    }


def metric_names(expression: str) -> set[str]:
    """Metrics of the service, of vLLM and of recording rules that the expression reads."""
    return set(_OURS.findall(expression))
