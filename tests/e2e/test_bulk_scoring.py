"""Bulk scoring against the real service: a folder of shape edits, interrupted, completed and compared."""

import json
import subprocess
import sys
from pathlib import Path

from service_process import ServiceProcess

from edit_rrm_client.bulk.rows import read_results
from edit_rrm_training.shapes.dataset import EditRecord, make_edit

EDITS = [make_edit(seed=2027, index=index, candidate_count=6) for index in range(6)]


def lay_out(folder: Path, edits: list[EditRecord]) -> int:
    """The edits as a folder to score, every editor's candidate under its name; gives how many there are."""
    (folder / "source").mkdir(parents=True)
    count = 0
    with (folder / "instructions.jsonl").open("w") as instructions:
        for edit in edits:
            edit.picture().save(folder / f"source/{edit.id}.png")
            line = {"id": edit.id, "instruction": edit.request.instruction, "category": edit.request.category}
            instructions.write(json.dumps(line) + "\n")
            for candidate in edit.candidates:
                images = folder / "edited" / candidate.editor
                images.mkdir(parents=True, exist_ok=True)
                candidate.picture().save(images / f"{edit.id}.png")
                count += 1
    return count


def edit_rrm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    script = Path(sys.executable).with_name("edit-rrm")
    return subprocess.run([script, *map(str, arguments)], capture_output=True, text=True, timeout=300)


def test_a_folder_is_scored_in_two_runs_and_the_scores_tell_good_edits_from_bad(
    trained: ServiceProcess, tmp_path: Path
) -> None:
    count = lay_out(tmp_path / "edits", EDITS)
    models = {candidate.editor for edit in EDITS for candidate in edit.candidates}
    out = tmp_path / "results.parquet"
    command = ("score", tmp_path / "edits", "-o", out, "--url", trained.url, "--reasoning")
    assert edit_rrm(*command, "--limit", "5").returncode in (0, 1)
    done = edit_rrm(*command)
    summary = json.loads((tmp_path / "results.parquet.summary.json").read_text())
    # not every editor made every edit: those rows are there too, and say that their file is missing
    assert summary["input"] == len(EDITS) * len(models)
    assert summary["failed_by_code"] == (
        {} if summary["input"] == count else {"missing_file": len(EDITS) * len(models) - count}
    )
    assert (summary["scored"], summary["skipped"]) == (count, 0), done.stderr

    served = trained.http.get("/v1/models").json()["models"][0]
    rows = [row for row in read_results(out) if row.status == "ok"]
    assert {row.rrm for row in rows} == {f"{served['name']}@{served['weights_digest']}"}
    judged = [row for row in rows if row.verdicts]
    assert judged
    assert all(row.reasoning for row in judged)
    rewards = {(row.id, row.model): row.reward for row in rows}
    good, bad = [], []
    for edit in EDITS:
        for candidate in edit.candidates:
            reward = rewards[edit.id, candidate.editor]
            assert reward is not None
            (good if all(finding.met for finding in candidate.findings) else bad).append(reward)
    assert sum(good) / len(good) > sum(bad) / len(bad) + 0.2

    first, second = sorted(models)[:2]
    compared = edit_rrm("compare", out, "--model-a", first, "--model-b", second, "--json")
    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout)["win_rate"]["interval"]["low"] >= 0.0
