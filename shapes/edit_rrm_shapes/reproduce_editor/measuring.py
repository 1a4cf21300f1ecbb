"""What an editor does with edits it was never trained on: sampled, judged by the oracle, scored by the model.

The reward model is asked with the gold principles, so that its verdicts and the oracle's are about the same
questions. The oracle is reached by its command; nothing it says reaches a training.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image
from pydantic import BaseModel, ConfigDict

from edit_grpo.data.edits import Edit, read_edits
from edit_grpo.errors import EditTrainingError
from edit_grpo.run.samples import write_samples
from edit_rrm.whole_files import write_whole
from edit_rrm_client import AsyncRewardClient, CandidateScored, ScoreAnswer, ScoringFailedError
from edit_rrm_shapes.tiny_editor.loading import load_editor
from edit_rrm_shapes.tiny_editor.shapes_edits import ShapesEdit
from edit_rrm_shapes.tiny_editor.shapes_edits import read_edits as read_shapes_edits

EDITS = "edits.jsonl"
SHEET_EDITS = 12
AT_ONCE = 24


class Measured(BaseModel):
    """One held-out edit as the editor carried it out. What the service could not score is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    category: str
    success: bool
    utility: float
    """Of the oracle, 0 to 10."""
    principles: tuple[str, ...]
    """The categories of the principles, in their order."""
    oracle: tuple[int, ...]
    reward: float | None
    score: float | None
    model: tuple[int, ...] | None
    """The reward model's verdicts; None also where a guard decided without any."""


class _Judged(BaseModel):
    """What is used of a line of `edit-rrm-shapes judge`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    category: str
    success: bool
    utility: float
    categories: tuple[str, ...]
    verdicts: tuple[int, ...]


def measure(
    editor: str,
    adapter: Path | None,
    data: Path,
    out: Path,
    url: str,
    *,
    steps: int,
    seed: int,
    say: Callable[[str], None],
) -> list[Measured]:
    """Samples every edit of `data` by the ODE, the noise from `seed` and the edit's id alone.

    Leaves the pictures, their contact sheet and `judged.jsonl` in `out`.
    """
    policy = load_editor(editor, adapter)
    edits = read_shapes_edits([data])
    written = write_samples(policy, edits, out, steps, seed, SHEET_EDITS, beside=ShapesEdit.best_target)
    for number, _ in enumerate(written, start=1):
        if number % 100 == 0:
            say(f"{number} of {len(edits)} edits sampled")
    judged = judge(data / EDITS, out)
    answers = map(_figures, asyncio.run(answers_to(read_edits([data / EDITS]), out, url)))
    return [
        Measured(
            id=one.id, category=one.category, success=one.success, utility=one.utility,
            principles=one.categories, oracle=one.verdicts, reward=reward, score=score, model=verdicts,
        )
        for one, (reward, score, verdicts) in zip(judged, answers, strict=True)
    ]  # fmt: skip


def judge(edits: Path, pictures: Path) -> list[_Judged]:
    """The oracle's word on `pictures/<id>.png` for every line of `edits`. Raises EditTrainingError."""
    out = pictures / "judged.jsonl"
    arguments = ["--edits", str(edits), "--pictures", str(pictures), "--out", str(out)]
    command = [sys.executable, "-m", "edit_rrm_shapes.cli", "judge", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise EditTrainingError(f"the oracle could not judge {pictures}: {done.stdout}{done.stderr}")
    return [_Judged.model_validate_json(line) for line in out.read_text(encoding="utf-8").splitlines()]


async def answers_to(edits: Sequence[Edit], pictures: Path, url: str) -> list[ScoreAnswer | None]:
    """The service's answer about `pictures/<id>.png`, an edit each; None where it could not score it."""
    room = asyncio.Semaphore(AT_ONCE)
    async with AsyncRewardClient(url, timeout_s=300.0) as client:

        async def one(edit: Edit) -> ScoreAnswer | None:
            with Image.open(pictures / f"{edit.id}.png") as opened:
                picture = opened.convert("RGB")
            async with room:
                try:
                    return await client.score(
                        edit.instruction, edit.pictures(), [picture], principles=edit.principles
                    )
                except ScoringFailedError:
                    return None

        return await asyncio.gather(*map(one, edits))


def _figures(answer: ScoreAnswer | None) -> tuple[float | None, float | None, tuple[int, ...] | None]:
    """Reward, score and verdicts; None for what is not there."""
    result = answer.results[0] if answer is not None else None
    if not isinstance(result, CandidateScored):
        return None, None, None
    return result.reward, result.score, tuple(int(verdict.met) for verdict in result.verdicts) or None


def read_measured(file: Path) -> list[Measured]:
    """What `write_measured` wrote."""
    return [Measured.model_validate_json(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write_measured(file: Path, measured: Sequence[Measured]) -> None:
    """One line an edit; the file appears when it is whole."""
    lines = (json.dumps(one.model_dump(mode="json")) for one in measured)
    write_whole(file, "".join(f"{line}\n" for line in lines))
