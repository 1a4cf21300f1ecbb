"""The fixed set of held-out edits, sampled with fixed noise every so many updates, scored and written.

Sampling is by the ODE, one candidate an edit. What the editor made before training is kept as PNG files,
so that a resumed run compares with the same pictures.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from edit_grpo.data.edits import Edit
from edit_grpo.errors import EditTrainingError
from edit_grpo.policies.policy import EditPolicy
from edit_grpo.reward.scoring import GroupScorer, PendingGroup
from edit_grpo.rollout.rollout import SamplingPlan, roll_out, seed_of
from edit_grpo.run.checkpointing import update_name
from edit_grpo.run.conditions import Conditions, EncodedEdit, UnusableEdit
from edit_grpo.run.grid_pages import GridRow, draw_grid, grid_page, index_page
from edit_rrm_client import EditRRMClientError, ScoreAnswer

FOLDER = "grids"
_logger = logging.getLogger("edit_grpo")


@dataclass(frozen=True)
class Grid:
    """One that was written: its page, and the same as one picture."""

    page: Path
    picture: Image.Image


class Grids:
    """Writes OUT/grids: `update-N.png`, `update-N.html` and `index.html`."""

    def __init__(
        self,
        out: Path,
        policy: EditPolicy,
        scorer: GroupScorer,
        edits: Sequence[Edit],
        conditions: Conditions,
        *,
        steps: int,
        seed: int,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._folder = out / FOLDER
        self._policy, self._scorer, self._edits = policy, scorer, edits
        self._conditions = conditions
        self._plan, self._seed = SamplingPlan(steps, micro_batch=1), seed
        self._stop = stop

    def begin(self) -> None:
        """Keeps what the editor makes now as "before training"."""
        before = self._folder / "before"
        before.mkdir(parents=True, exist_ok=True)
        for number, asked in self._usable():
            picture, file = self._sample(asked), before / f"{number}.png"
            if picture is None:
                file.unlink(missing_ok=True)
            else:
                picture.save(file)

    def has(self, update: int) -> bool:
        """Whether the grid after so many updates is written."""
        return (self._folder / f"{update_name(update)}.html").is_file()

    def write(self, update: int) -> Grid:
        """The grid after `update` updates.

        An edit whose source cannot be read is left out, one that could not be scored says so: a grid never
        ends a run. If the service is away, or refuses, the next update's groups find that out, in every
        process.
        """
        rows = []
        for number, asked in self._usable():
            before, now = self._before(number), self._sample(asked)
            shown = [picture for picture in (before, now) if picture is not None]
            pending = self._scorer.submit(asked.edit, asked.sources, shown, asked.canvas)
            rows.append((asked, before, now, pending))
        done = [
            GridRow(asked.edit.id, asked.edit.instruction, asked.sources, before, now, self._answer(pending))
            for asked, before, now, pending in rows
        ]
        name = update_name(update)
        picture = draw_grid(done)
        picture.save(self._folder / f"{name}.png")
        page = self._folder / f"{name}.html"
        page.write_text(grid_page(f"After {update} updates", done), encoding="utf-8")
        pages = sorted(path.name for path in self._folder.glob("update-*.html"))
        (self._folder / "index.html").write_text(index_page(pages), encoding="utf-8")
        return Grid(page, picture)

    def _answer(self, pending: PendingGroup) -> ScoreAnswer | None:
        try:
            return self._scorer.wait(pending, self._stop).answer
        except (EditTrainingError, EditRRMClientError) as error:
            _logger.warning("a held-out edit was not scored: %s", error)
            return None

    def _usable(self) -> list[tuple[int, EncodedEdit]]:
        """The edits that can be carried out, with their numbers."""
        found = []
        for number, asked in enumerate(self._conditions.of(self._edits)):
            if isinstance(asked, UnusableEdit):
                _logger.warning("a held-out edit is left out: %s", asked.error)
            else:
                found.append((number, asked))
        return found

    def _before(self, number: int) -> Image.Image | None:
        """What the editor made before training; None where that was not finite."""
        file = self._folder / "before" / f"{number}.png"
        if not file.is_file():
            return None
        with Image.open(file) as opened:
            return opened.convert("RGB")

    def _sample(self, asked: EncodedEdit) -> Image.Image | None:
        """The edited picture; None for one that is not finite."""
        generator = torch.Generator().manual_seed(seed_of("grid", self._seed, asked.edit.id))
        rollout = roll_out(self._policy, asked.condition, [generator], self._plan)
        (picture,) = self._policy.decode(rollout.latents)
        return picture
