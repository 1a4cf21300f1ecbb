"""docs/results/gpu.md claims no measurement before there is one."""

import json
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "results"


def test_the_page_has_a_table_only_beside_the_file_it_was_made_from() -> None:
    page = (FOLDER / "gpu.md").read_text(encoding="utf-8")
    measured = FOLDER / "gpu_training.json"
    if measured.exists():
        written = json.loads(measured.read_text(encoding="utf-8"))
        assert not written["tiny"]
        assert all(part["device"] in page for part in written["parts"] if "failed" not in part)
        assert "Nothing has been measured yet" not in page
    else:
        assert "**Nothing has been measured yet**" in page
        assert not [line for line in page.splitlines() if line.startswith("|")]
