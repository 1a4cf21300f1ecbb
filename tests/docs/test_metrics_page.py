"""docs/reference/metrics.md as the code has it; docs/metrics.md speaks of every metric, with its labels."""

import re
from pathlib import Path
from types import ModuleType

import pytest
from hook_script import hook_script

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return hook_script("metrics_page")


def test_the_page_is_what_the_code_says(script: ModuleType) -> None:
    written = (DOCS / script.PAGE).read_text(encoding="utf-8")
    assert written == script.page(), "run: .venv/bin/python docs/hooks/metrics_page.py"


def test_a_metric_has_its_kind_its_labels_and_its_meaning(script: ModuleType) -> None:
    written = (DOCS / script.PAGE).read_text(encoding="utf-8")
    assert (
        "- `edit_rrm_phase_seconds` (histogram, by `phase`): Phases of a call: decompose, verify\n" in written
    )
    assert "- `edit_rrm_jobs_in_flight` (gauge): Jobs in the engine\n" in written


def test_the_guide_speaks_of_every_metric_and_of_none_that_is_gone(script: ModuleType) -> None:
    known = {one.name: set(one.labels) for found in script.metrics().values() for one in found}
    told: dict[str, set[str]] = {}
    for row in re.findall(r"^\| (`edit_rrm_.*) \|$", (DOCS / "metrics.md").read_text(encoding="utf-8"), re.M):
        names, labels, *_ = row.split(" | ") if " | | " not in row else [row.split(" | ")[0], ""]
        for name in re.findall(r"`(edit_rrm_\w+)`", names):
            told[name] = set(re.findall(r"\w+", labels))
    assert told == known
