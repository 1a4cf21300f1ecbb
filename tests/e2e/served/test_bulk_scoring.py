"""Bulk scoring against the real service: a folder of shape edits, interrupted, completed and compared."""

import json
import subprocess
import sys
from pathlib import Path

from service_process import ServiceProcess

from edit_rrm_client.bulk.rows import read_results
from edit_rrm_shapes.world.dataset import EditRecord, make_edit

EDITS = [make_edit(seed=2027, index=index, candidate_count=6) for index in range(6)]


def image_of(edit: EditRecord, number: int) -> str:
    """Where a candidate lies in the folder."""
    return f"edited/{edit.candidates[number].editor}/{edit.id}/{number}.png"


def lay_out(folder: Path, edits: list[EditRecord]) -> None:
    """The edits as a folder to score, every editor's candidates under its name."""
    (folder / "source").mkdir(parents=True)
    with (folder / "instructions.jsonl").open("w") as instructions:
        for edit in edits:
            edit.picture().save(folder / f"source/{edit.id}.png")
            line = {"id": edit.id, "instruction": edit.request.instruction, "category": edit.request.category}
            instructions.write(json.dumps(line) + "\n")
            for number, candidate in enumerate(edit.candidates):
                path = folder / image_of(edit, number)
                path.parent.mkdir(parents=True, exist_ok=True)
                candidate.picture().save(path)


def edit_rrm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    script = Path(sys.executable).with_name("edit-rrm")
    return subprocess.run([script, *map(str, arguments)], capture_output=True, text=True, timeout=300)


def test_a_folder_is_scored_in_two_runs_and_the_scores_tell_good_edits_from_bad(
    trained: ServiceProcess, tmp_path: Path
) -> None:
    lay_out(tmp_path / "edits", EDITS)
    count = sum(len(edit.candidates) for edit in EDITS)
    models = {candidate.editor for edit in EDITS for candidate in edit.candidates}
    out = tmp_path / "results.parquet"
    command = ("score", tmp_path / "edits", "-o", out, "--url", trained.url, "--reasoning")
    assert edit_rrm(*command, "--limit", "5").returncode == 0
    done = edit_rrm(*command)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "results.parquet.summary.json").read_text())
    assert (summary["input"], summary["scored"], summary["skipped"]) == (count, count, 0)

    served = trained.http.get("/v1/models").json()["models"][0]
    rows = [row for row in read_results(out) if row.status == "ok"]
    assert len({row.key for row in rows}) == count
    assert {row.rrm for row in rows} == {f"{served['name']}@{served['weights_digest']}"}
    judged = [row for row in rows if row.verdicts]
    assert judged
    assert all(row.reasoning for row in judged)
    rewards = {row.edited: row.reward for row in rows}
    good, bad = [], []
    for edit in EDITS:
        for number, candidate in enumerate(edit.candidates):
            reward = rewards[f"edits/{image_of(edit, number)}"]
            assert reward is not None
            (good if all(finding.met for finding in candidate.findings) else bad).append(reward)
    assert sum(good) / len(good) > sum(bad) / len(bad) + 0.2

    first, second = sorted(models)[:2]
    compared = edit_rrm("compare", out, "--model-a", first, "--model-b", second, "--json")
    assert compared.returncode == 0, compared.stderr
    shown = json.loads(compared.stdout)
    rate = shown["win_rate"]
    assert rate["wins"] + rate["ties"] + rate["losses"] + shown["left_out"] == len(EDITS)
