"""Rules and alerts by Prometheus's own tool; each alert has its tests and its section in the runbook."""

import re
import subprocess
from pathlib import Path

import deployed_queries
import pytest
import yaml
from prometheus_process import DEPLOYED, require_prometheus

RULE_TESTS = sorted((Path(__file__).parent / "rules").glob("*.yml"))
RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


@pytest.fixture(scope="module", autouse=True)
def _prometheus() -> None:
    require_prometheus()


def promtool(*arguments: str | Path) -> str:
    ended = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_promtool_accepts_the_configuration_and_its_rules() -> None:
    shown = promtool("check", "config", DEPLOYED / "prometheus.yml")
    assert "2 rule files found" in shown


@pytest.mark.slow
@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.stem)
def test_rules_do_what_their_unit_tests_say(file: Path) -> None:
    promtool("test", "rules", file)


@pytest.mark.parametrize("name", [alert["alert"] for alert in deployed_queries.alerts()])
def test_every_alert_is_shown_to_fire_and_not_to_fire(name: str) -> None:
    checks = [
        check
        for file in RULE_TESTS
        for case in yaml.safe_load(file.read_text())["tests"]
        for check in case["alert_rule_test"]
        if check["alertname"] == name
    ]
    assert any(check["exp_alerts"] for check in checks)
    assert any(not check["exp_alerts"] for check in checks)


def test_every_alert_has_its_section_in_the_runbook() -> None:
    headings = {h.strip().lower() for h in re.findall(r"^#+ (.+)$", RUNBOOK.read_text(), re.MULTILINE)}
    for alert in deployed_queries.alerts():
        link = f"{{{{ $externalLabels.edit_rrm_docs }}}}/operations/#{alert['alert'].lower()}"
        assert alert["annotations"]["runbook_url"] == link
        assert alert["alert"].lower() in headings
        assert alert["labels"]["severity"] in {"page", "ticket"}


def test_rules_read_only_recorded_values_that_exist() -> None:
    for rule in deployed_queries.rules():
        read = {name for name in deployed_queries.metric_names(rule["expr"]) if name.startswith("job")}
        assert read <= deployed_queries.recorded(), rule
