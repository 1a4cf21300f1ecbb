"""What a trainer must know before a run: scores one synthetic group and judges the service by it.

The group holds edits whose order no reward model may get flat: the right one, wrong ones, and none.
"""

import colorsys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import pstdev

from PIL import Image, ImageDraw

from edit_rrm_client import CandidateScored, ModelAnswer, RewardClient, ScoreAnswer, rewards

INSTRUCTION = "change the color of the red circle to blue"
MIN_GROUP_SIZE = 4
MAX_GROUP_SIZE = 64


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; a run must not start while any is not `ok`."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Preflight:
    """All findings about one service, and what a run should note down about it."""

    model: ModelAnswer
    answer: ScoreAnswer
    latency_s: float
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self.findings)


def run_preflight(
    client: RewardClient,
    *,
    group_size: int,
    deadline_s: float,
    wait_s: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
) -> Preflight:
    """Waits up to `wait_s` for the service, scores one group and looks at what came.

    Raises EditRRMClientError when the service cannot be reached, is not ready or fails the group.
    """
    client.wait_until_ready(wait_s)
    models = client.models().models
    source, candidates = synthetic_group(group_size)
    began_s = clock()
    answer = client.score(INSTRUCTION, source, candidates, deadline_s=deadline_s, priority="training")
    latency_s = clock() - began_s
    return Preflight(models[0], answer, latency_s, (*judge_group(answer), judge_model(models, answer)))


def judge_model(models: Sequence[ModelAnswer], answer: ScoreAnswer) -> Finding:
    """Whether the score came from the checkpoint that /v1/models describes (replicas may differ)."""
    known = [f"{model.name}@{model.weights_digest}" for model in models]
    agree = answer.model in known
    detail = f"scored by {answer.model}" + ("" if agree else f", but /v1/models lists {', '.join(known)}")
    return Finding("one checkpoint", agree, detail)


def judge_group(answer: ScoreAnswer) -> tuple[Finding, ...]:
    """Looks at one group's results; pure."""
    results = answer.results
    scored = [result for result in results if isinstance(result, CandidateScored)]
    failed = len(results) - len(scored)
    unexplained = sum(result.reward == 0.0 and not _explained(result) for result in scored)
    judged = [result.reward for result in scored if not any(guard.limits for guard in result.guards)]
    std = pstdev(judged) if judged else 0.0
    guarded = len(scored) - len(judged)
    known = [reward for reward in rewards(answer) if reward is not None]
    spread = f"{min(known):.3f} to {max(known):.3f}" if known else "none"
    return (
        Finding(
            "every candidate scored", failed == 0, f"{len(scored)} of {len(results)} have a reward ({spread})"
        ),
        Finding(
            "no silent zero",
            unexplained == 0,
            "every reward of 0 comes with a verdict or a guard"
            if unexplained == 0
            else f"{unexplained} rewards of 0 come without verdicts and without a guard",
        ),
        Finding(
            "rewards differ",
            std > 0.0,
            f"std {std:.3f} over {len(judged)} candidates that the model judged, {guarded} left to guards"
            + ("" if std > 0.0 else "; a group without variance teaches nothing"),
        ),
    )


def synthetic_group(size: int) -> tuple[Image.Image, list[Image.Image]]:
    """A source and `size` candidates, 96 pixels square: the asked-for edit, no edit, and wrong colours.

    Raises ValueError for a size outside [4, 64].
    """
    if not MIN_GROUP_SIZE <= size <= MAX_GROUP_SIZE:
        raise ValueError(f"the group size must lie in [{MIN_GROUP_SIZE}, {MAX_GROUP_SIZE}], got {size}")
    source = _scene((220, 40, 40))
    candidates = [_scene((40, 80, 220)), source.copy()]
    for number in range(size - 2):
        red, green, blue = colorsys.hsv_to_rgb(0.08 + 0.9 * number / (size - 2), 0.8, 0.85)
        candidates.append(_scene((round(red * 255), round(green * 255), round(blue * 255))))
    return source, candidates


def _scene(circle: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGB", (96, 96), (190, 190, 190))
    draw = ImageDraw.Draw(image)
    draw.ellipse((6, 6, 28, 28), fill=circle)
    draw.rectangle((68, 68, 88, 88), fill=(40, 160, 70))
    return image


def _explained(result: CandidateScored) -> bool:
    return bool(result.verdicts) or any(guard.limits for guard in result.guards)
