"""`make demo-photos` before the real service: the bundled model knows no photographs, and nothing breaks."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from service_process import ServiceProcess

from edit_rrm_client.bulk.rows import read_results

DEMO = Path(__file__).parents[3] / "demo"
REFUSED = {"decomposition_failed", "trace_unparseable", "trace_truncated"}


def test_the_photographs_go_through_the_real_service(trained: ServiceProcess, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, DEMO / "score_photos.py", "--url", trained.url, "--out", tmp_path],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "COLUMNS": "160"},
    )
    (results,) = tmp_path.glob("*/results.jsonl")
    rows = list(read_results(results))
    listed = [json.loads(line) for line in (DEMO / "photos/edits.jsonl").read_text().splitlines()]
    assert [row.key for row in rows] == ["{id}/{model}/{candidate}".format_map(line) for line in listed]
    failed = {row.key: row.error_code for row in rows if row.reward is None}
    assert ended.returncode == (1 if failed else 0), ended.stdout + ended.stderr
    assert set(failed.values()) <= REFUSED
    good_failed = {key.partition("/")[0] for key in failed if "/good/" in key}
    counted = [key for key in (row.key for row in rows) if "/bad/" in key and key not in failed]
    pairs = sum(key.partition("/")[0] not in good_failed for key in counted)
    found = re.search(r"│ all +│ (\d+) +│ ([\d.]+) +│ \d+ +│ (\d\.\d\d) \(", ended.stdout)
    assert found is not None, ended.stdout
    assert int(found[1]) == pairs > 0
    assert float(found[3]) == round(float(found[2]) / pairs, 2)
    assert "on photographs its verdicts mean nothing" in " ".join(ended.stdout.replace("│", " ").split())
    for made in ("report.html", "sheet.png"):
        assert (results.parent / made).stat().st_size > 100_000
