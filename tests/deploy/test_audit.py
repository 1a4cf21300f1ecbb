"""`make audit`: what pip-audit reports is told, and a service that answered nothing is no clean bill."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(ROOT / "deploy" / "supply_chain"), *sys.path])
    import audit

    return audit


def skipped(name: str) -> dict[str, Any]:
    return {"name": name, "skip_reason": f"Dependency not found on PyPI: {name}"}


WEAK = {"id": "PYSEC-2026-1", "fix_versions": ["1.2", "2.0"], "aliases": [], "description": "d"}


@pytest.mark.parametrize(
    ("dependencies", "asked", "unknown", "status"),
    [
        ([{"name": "a", "version": "1.0", "vulns": []}, skipped("edit-rrm")], 1, (), 0),
        ([{"name": "a", "version": "1.0", "vulns": [WEAK]}, skipped("b")], 1, ("b",), 1),
        ([skipped("a"), skipped("b"), skipped("edit-rrm-shapes")], 0, ("a", "b"), 2),
        ([], 0, (), 2),
    ],
)
def test_a_report_is_good_only_if_the_service_knew_a_package_and_nothing_against_it(
    audit: Any, dependencies: list[dict[str, Any]], asked: int, unknown: tuple[str, ...], status: int
) -> None:
    found = audit.read_audit({"dependencies": dependencies})
    assert (found.asked, found.unknown, found.status) == (asked, unknown, status)


def test_a_weakness_says_where_it_is_mended(audit: Any) -> None:
    (found,) = audit.read_audit(
        {"dependencies": [{"name": "a", "version": "1.0", "vulns": [WEAK]}]}
    ).weaknesses
    assert (found.package, found.version, found.name, found.mended_in) == (
        "a", "1.0", "PYSEC-2026-1", ("1.2", "2.0"),
    )  # fmt: skip


def test_where_the_service_is_not_reached_one_line_says_so(
    audit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(tool: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
        licences = json.dumps([{"Name": "a", "License": "MIT", "Version": "1"}])
        stdout = licences if tool == audit.LICENCES else ""
        return subprocess.CompletedProcess([], 1, stdout, "Traceback …\nConnectionError: no route\n")

    monkeypatch.setattr(audit, "ran", ended)
    with pytest.raises(audit.typer.Exit) as left:
        audit.main(None)
    said = capsys.readouterr().out.splitlines()
    assert left.value.exit_code == 2
    assert said[-1] == (
        "no audit: the service of known weaknesses was not reached: ConnectionError: no route"
    )


def test_licences_are_gathered_by_their_first_line(audit: Any) -> None:
    packages = [
        {"Name": "a", "License": "MIT"},
        {"Name": "b", "License": "\nCopyright (c) somebody\nmore"},
        {"Name": "c", "License": "MIT"},
        {"Name": "d", "License": ""},
    ]
    assert audit.by_licence(packages) == {
        "MIT": ["a", "c"], "Copyright (c) somebody": ["b"], "UNKNOWN": ["d"],
    }  # fmt: skip
