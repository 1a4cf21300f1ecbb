"""Runs of the real trainer on the linear editor, against a mock service that likes red pictures."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from linear_editor import LinearEditor
from PIL import Image

from edit_grpo.run.settings import TrainSettings
from edit_grpo.run.trainer import Ending
from edit_grpo.run.training_run import Parts, run_training
from edit_rrm.wire import ScoreRequest
from edit_rrm_client import AsyncRewardClient, MockRewardServer, RetryPolicy


def write_edits(folder: Path, count: int = 3, name: str = "edits.jsonl") -> Path:
    """An edit set of grey sources."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        Image.new("RGB", (8, 8), (100 + 20 * number,) * 3).save(folder / f"{number}.png")
        rows.append(
            {"id": f"{name}-{number}", "source": f"{number}.png", "instruction": "make it red",
             "category": ("colour", "tone")[number % 2]}
        )  # fmt: skip
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_pair_edits(folder: Path) -> Path:
    """An edit set of one edit, `pair-0`, of two grey sources of two sizes."""
    for name, size in (("first.png", (8, 8)), ("second.png", (12, 10))):
        Image.new("RGB", size, (120,) * 3).save(folder / name)
    path = folder / "pairs.jsonl"
    row = {"id": "pair-0", "sources": ["first.png", "second.png"], "instruction": "make both red"}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return path


def small_settings(folder: Path, **changes: Any) -> TrainSettings:
    """Six updates of two groups of four candidates, checkpoints every three, no grids."""
    values: dict[str, Any] = {
        "out": folder / "run",
        "policy": {"name": "linear"},
        "data": {"edits": [write_edits(folder / "edits")]},
        "sampling": {"group_size": 4, "groups": 2, "steps": 4, "micro_batch": 3},
        "algorithm": {"name": "grpo", "window": {"size": 2}},
        "optimizer": {"lr": 0.01, "minibatches": 1},
        "reward": {"patience_s": 0.0, "poll_s": 0.01, "attempts": 1},
        "updates": 6,
        "save_every": 3,
        "grid_every": None,
    }
    for name, value in changes.items():
        values[name] = {**values[name], **value} if isinstance(value, dict) else value
    return TrainSettings.model_validate(values)


class RedService(MockRewardServer):
    """Rewards a candidate by its mean red less its mean blue; calls `before` ahead of each group's answer."""

    def __init__(self, before: Callable[[int], None] = lambda number: None) -> None:
        super().__init__(self._rewards)
        self.before = before
        self.groups = 0
        self.fails: Callable[[int, int], bool] = lambda group, candidate: False

    def _rewards(self, request: ScoreRequest) -> Sequence[float | None]:
        self.before(self.groups)
        group, self.groups = self.groups, self.groups + 1
        files = self.calls[-1].files
        return [
            None if self.fails(group, number) else _redness(files[candidate.part or ""])
            for number, candidate in enumerate(request.candidates)
        ]

    def client(self) -> AsyncRewardClient:
        """A client of this service that does not wait between attempts."""
        return AsyncRewardClient(
            http_client=httpx.AsyncClient(transport=self), retries=RetryPolicy(attempts=1)
        )


def train(
    settings: TrainSettings, service: RedService | None = None, policy: LinearEditor | None = None
) -> tuple[Ending, LinearEditor]:
    """A run, and the editor as it ended."""
    editor = policy or LinearEditor()
    used = service or RedService()
    parts = Parts(lambda settings, device: editor, lambda settings: used.client())
    return run_training(settings, parts=parts), editor


def log_lines(settings: TrainSettings) -> list[dict[str, Any]]:
    """The updates of log.jsonl, events left out."""
    lines = (settings.out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in map(json.loads, lines) if "event" not in line]


def events(settings: TrainSettings) -> list[str]:
    """The kinds of the events of log.jsonl."""
    lines = (settings.out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [line["event"] for line in map(json.loads, lines) if "event" in line]


def _redness(data: bytes) -> float:
    with Image.open(io.BytesIO(data)) as opened:
        red, _, blue = np.asarray(opened.convert("RGB"), dtype=np.float64).mean(axis=(0, 1)) / 255.0
    return float(0.5 + (red - blue) / 2.0)
