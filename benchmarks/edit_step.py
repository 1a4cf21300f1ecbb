"""What does a step of the editor's training cost, part by part, and what does overlap save?

    .venv/bin/python benchmarks/edit_step.py --config shapes/configs/tiny_editor.yaml [--url URL]
    .venv/bin/python benchmarks/edit_step.py --score-like-sampling [--sampling-s 0.25]

With --config: real steps of `edit-grpo train` under those settings, against the service at --url or the
bundled one, which is started otherwise. The same run is done with overlap and without, the second time
with another seed: candidates that the service has scored before would be measured as speed.

With --score-like-sampling: where scoring takes as long as sampling, as on GPUs of their own. Drawing a
group and scoring one each take --sampling-s on clocks that do not share a core (they sleep), a pass with
gradient three times one without; everything else, threads, HTTP client, encoding, optimiser, is the
trainer's own, on an editor of 24 weights.

Bar, where scoring takes as long as sampling: overlap makes a step at least 1.2 times faster.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import httpx
import torch
import typer
from PIL import Image
from rich.table import Table
from rig.processes import end_on_sigterm, reward_server
from rig.report import Bar, console, say_machine

from edit_grpo.policies.policy import Condition
from edit_grpo.reward.settings import RewardSettings
from edit_grpo.run.settings import TrainSettings
from edit_grpo.run.settings_file import load_settings
from edit_grpo.run.training_run import DEFAULT_PARTS, Parts, run_training
from edit_rrm.wire import ScoreRequest
from edit_rrm_client import AsyncRewardClient, MockRewardServer
from edit_rrm_server.settings.server import BUNDLED_MODEL

BAR = Bar("step without overlap over step with it, median", 1.2, at_least=True)
NAMES = ("sampling", "waiting", "updating", "scoring")


class SlowEditor:
    """An `EditPolicy` of 24 weights whose candidates take a fixed time to be drawn, on no core of ours."""

    def __init__(self, velocity_s: float) -> None:
        self.module: torch.nn.Module = torch.nn.Linear(7, 3)
        self.device, self.latent_dtype = torch.device("cpu"), torch.float32
        self.max_sources, self.canvas = 1, 0
        self._velocity_s = velocity_s

    def prepare(self, source: Image.Image) -> Image.Image:
        return source

    def encode(self, sources: Sequence[Sequence[Image.Image]], instructions: Sequence[str]) -> Condition:
        return Condition({"source": torch.zeros(len(sources), 3, 8, 8)})

    def release_encoders(self) -> None:
        """It has none."""

    def noise(self, condition: Condition, generator: torch.Generator) -> torch.Tensor:
        return torch.randn((len(condition), 3, 8, 8), generator=generator)

    def sigmas(self, steps: int, condition: Condition) -> list[float]:
        return [1.0 - step / steps for step in range(steps)] + [0.0]

    def velocity(self, latents: torch.Tensor, sigma: torch.Tensor, condition: Condition) -> torch.Tensor:
        time.sleep(self._velocity_s * (3.0 if torch.is_grad_enabled() else 1.0))  # backward: two forwards
        level = sigma.reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8)
        features = torch.cat([latents, condition.tensors["source"], level], dim=1)
        found: torch.Tensor = self.module(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return found

    def decode(self, latents: torch.Tensor) -> list[Image.Image]:
        pixels = ((latents.detach() + 1.0) * 127.5).clamp(0, 255).to(torch.uint8)
        return [Image.fromarray(each.permute(1, 2, 0).numpy()) for each in pixels]

    def reference(self) -> Any:
        raise NotImplementedError("the benchmark trains without a KL")

    def trainable(self) -> list[torch.nn.Parameter]:
        return list(self.module.parameters())

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True)


class SlowService(MockRewardServer):
    """Scores one group after another, each in a fixed time, on no core of ours."""

    def __init__(self, group_s: float) -> None:
        super().__init__(self._spread)
        self._group_s = group_s
        self._turn = asyncio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        async with self._turn:
            await asyncio.sleep(self._group_s)
        return self.handle_request(request)

    @staticmethod
    def _spread(request: ScoreRequest) -> list[float]:
        return [number / len(request.candidates) for number in range(len(request.candidates))]


def slow_settings(folder: Path, steps: int) -> TrainSettings:
    """Eight groups an update, a window of two of eight steps: a step's forward passes as on a GPU."""
    Image.new("RGB", (8, 8)).save(folder / "source.png")
    edits = folder / "edits.jsonl"
    row = {"id": "1", "source": "source.png", "instruction": "make it red"}
    edits.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return TrainSettings.model_validate({
        "out": folder / "run", "policy": {"name": "slow"}, "data": {"edits": [edits]},
        "sampling": {"group_size": 12, "groups": 8, "steps": 8, "micro_batch": 12},
        "algorithm": {"name": "grpo", "window": {"size": 2}, "beta": 0.0},
        "updates": steps + 1, "save_every": 10_000, "grid_every": None,
    })  # fmt: skip


def measured(settings: TrainSettings, folder: Path, overlap: bool, parts: Parts) -> list[dict[str, float]]:
    """The log of every step but the first one."""
    out = folder / f"overlap-{overlap}"
    reward = settings.reward.model_copy(update={"overlap": overlap})
    run_training(settings.model_copy(update={"out": out, "reward": reward}), parts=parts)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if "event" not in line][1:]


def report(with_overlap: list[dict[str, float]], without: list[dict[str, float]]) -> float:
    """Prints both sides; returns the ratio of their steps."""
    table = Table("seconds a step, median", *NAMES, "step", "reward time hidden")
    totals = []
    for name, lines in (("overlap", with_overlap), ("no overlap", without)):
        parts = {part: statistics.median(line[f"seconds/{part}"] for line in lines) for part in NAMES}
        step_s = statistics.median(sum(line[f"seconds/{part}"] for part in NAMES[:3]) for line in lines)
        hidden = statistics.median(line.get("seconds/hidden_share", 0.0) for line in lines)
        table.add_row(name, *(f"{parts[part]:.2f}" for part in NAMES), f"{step_s:.2f}", f"{hidden:.0%}")
        totals.append(step_s)
    console.print(table)
    return totals[1] / totals[0]


def main(
    config: Annotated[Path | None, typer.Option(help="Settings of the run that is measured.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting, before the file.")] = None,
    url: Annotated[
        str | None, typer.Option(help="Running service; the bundled one is started if absent.")
    ] = None,
    score_like_sampling: Annotated[
        bool, typer.Option(help="Where scoring takes as long as sampling.")
    ] = False,
    sampling_s: Annotated[float, typer.Option(help="Seconds to draw, and to score, a group there.")] = 0.25,
    steps: Annotated[
        int, typer.Option(min=1, help="Steps measured on each side, after one that is not.")
    ] = 4,
) -> None:
    """Prints the seconds of a step's parts with overlap and without, and the bar where it applies."""
    end_on_sigterm()
    if score_like_sampling == (config is not None):
        raise typer.BadParameter("give either --config or --score-like-sampling")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if config is None:
            settings = slow_settings(folder, steps)
            service: Callable[[RewardSettings], AsyncRewardClient] = lambda _: AsyncRewardClient(  # noqa: E731
                http_client=httpx.AsyncClient(transport=SlowService(sampling_s))
            )
            parts = Parts(lambda *_: SlowEditor(sampling_s / settings.sampling.steps), service)
        else:
            address = url or stack.enter_context(reward_server(BUNDLED_MODEL)).url
            changes = [
                f"reward.urls=[{address}]",
                f"updates={steps + 1}",
                "grid_every=null",
                "save_every=10000",
            ]
            settings = load_settings(config, [*(set_ or []), *changes])
            parts = DEFAULT_PARTS
        with_overlap = measured(settings, folder, True, parts)
        fresh = settings.model_copy(update={"seed": settings.seed + 1}) if config is not None else settings
        ratio = report(with_overlap, measured(fresh, folder, False, parts))
    if config is None:
        BAR.judge(ratio)
    else:
        console.print(f"{BAR.what}: {ratio:.2f}")
    say_machine()


if __name__ == "__main__":
    typer.run(main)
