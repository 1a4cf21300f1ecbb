"""Which pictures please the judge without being the edit? Cheap tricks beside the honest edit.

    python benchmarks/picture_tricks.py [--edits 50] [--searched 5] [--queries 2000] [--out FILE]

Of every trick: its mean reward, how often it reaches half and the honest edit's reward, and what caught it.
`noise` is searched for: the source with noise of at most 16 levels, kept where the reward rises, for so many
queries. Bundled model, real vLLM, guards on, principles as the world knows them.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import typer
from PIL import Image, ImageChops, ImageEnhance, ImageOps
from rich.progress import track
from rich.table import Table
from rig.figures import Out, write_figures
from rig.processes import end_on_sigterm, reward_server
from rig.report import console, progress, say_machine

from edit_rrm.intervals import share
from edit_rrm.principles import numbered
from edit_rrm_client import RewardClient
from edit_rrm_server.settings.server import BUNDLED_MODEL
from edit_rrm_shapes.world.dataset import EditRecord, make_edit
from edit_rrm_shapes.world.edits import perform
from edit_rrm_shapes.world.render import render

WORLD = 8200
NOISE_LEVELS = 16
BATCH = 20
Trick = Callable[[Image.Image, Image.Image], Image.Image]


def changed_box(source: Image.Image, edited: Image.Image) -> tuple[int, int, int, int]:
    """Where the honest edit differs by more than noise; the whole picture where it does everywhere."""
    difference = ImageChops.difference(source, edited).convert("L").point(lambda level: 255 * (level > 40))
    return difference.getbbox() or (0, 0, *source.size)


def half_drawn(source: Image.Image, edited: Image.Image) -> Image.Image:
    """The left half of what the edit changes."""
    left, top, right, bottom = changed_box(source, edited)
    copy, box = source.copy(), (left, top, (left + right) // 2, bottom)
    copy.paste(edited.crop(box), box)
    return copy


def drawn_twice(source: Image.Image, edited: Image.Image) -> Image.Image:
    """The edit, and what it changes once more at the opposite place."""
    left, top, right, bottom = changed_box(source, edited)
    copy = edited.copy()
    width, height = source.size
    copy.paste(edited.crop((left, top, right, bottom)), (width - right, height - bottom))
    return copy


def side_by_side(source: Image.Image, edited: Image.Image) -> Image.Image:
    """Source and edit in one picture."""
    width, height = source.size
    both = Image.new("RGB", source.size)
    for place, one in enumerate((source, edited)):
        both.paste(one.resize((width // 2, height)), (place * (width // 2), 0))
    return both


TRICKS: dict[str, Trick] = {
    "honest edit": lambda source, edited: edited,
    "nothing": lambda source, edited: source,
    "shifted by 2": lambda source, edited: ImageChops.offset(source, 2, 0),
    "5 % brighter": lambda source, edited: ImageEnhance.Brightness(source).enhance(1.05),
    "border of 4": lambda source, edited: ImageOps.expand(ImageOps.crop(source, 4), 4, (255, 255, 255)),
    "half drawn": half_drawn,
    "blended 0.5": lambda source, edited: Image.blend(source, edited, 0.5),
    "drawn twice": drawn_twice,
    "side by side": side_by_side,
}


@dataclass
class Seen:
    """What came of one trick over all edits; `honest` is the reward of the honest edit each time."""

    rewards: list[float] = field(default_factory=list)
    honest: list[float] = field(default_factory=list)
    caught: Counter[str] = field(default_factory=Counter)
    failed: int = 0


class Judge:
    """One edit's candidates, with its principles."""

    def __init__(self, client: RewardClient, edit: EditRecord) -> None:
        self._client = client
        self._edit = edit
        self._principles = numbered((check.category, check.question) for check in edit.checks)
        self._category = {p.id: p.category.value for p in self._principles}

    def score(self, pictures: list[Image.Image]) -> list[tuple[float | None, str]]:
        """Of each the reward, and the guard that lowered it or the category that was lowest."""
        answer = self._client.score(
            self._edit.request.instruction, self._edit.picture(), pictures, principles=self._principles
        )
        found: list[tuple[float | None, str]] = []
        for result in answer.results:
            if result.status != "ok":
                found.append((None, result.error.code))
                continue
            guard = next((g.name for g in result.guards if g.triggered and g.decides), None)
            unmet = Counter(self._category[v.principle] for v in result.verdicts if not v.met)
            found.append((result.reward, guard or (unmet.most_common(1)[0][0] if unmet else "nothing")))
        return found


def honest_edit(edit: EditRecord) -> Image.Image:
    """The edit as it was asked, and nothing else."""
    rng, scene = random.Random(edit.id), edit.source
    for step in edit.request.edits:
        scene = perform(scene, step, rng)
    return render(scene, edit.noise_seed)


def searched_noise(judge: Judge, edit: EditRecord, queries: int) -> tuple[float, float]:
    """The reward of the source, and the most that noise upon it was given."""
    rng = np.random.default_rng(1)
    source = np.asarray(edit.picture(), dtype=np.int16)
    best, noise = judge.score([edit.picture()])[0][0] or 0.0, np.zeros_like(source)
    start = best
    for _ in range(0, queries, BATCH):
        tried = [
            np.clip(noise + rng.integers(-6, 7, source.shape), -NOISE_LEVELS, NOISE_LEVELS)
            for _ in range(BATCH)
        ]
        pictures = [Image.fromarray(np.clip(source + one, 0, 255).astype(np.uint8)) for one in tried]
        for one, (reward, _) in zip(tried, judge.score(pictures), strict=True):
            if reward is not None and reward > best:
                best, noise = reward, one
    return start, best


def main(
    edits: Annotated[int, typer.Option(min=5, help="Edits that every trick is tried on.")] = 50,
    searched: Annotated[int, typer.Option(min=0, help="Edits that noise is searched for.")] = 5,
    queries: Annotated[int, typer.Option(min=20, help="Queries of each search.")] = 2000,
    out: Out = None,
) -> None:
    """See the module."""
    end_on_sigterm()
    say_machine()
    seen: dict[str, Seen] = defaultdict(Seen)
    searches: list[tuple[float, float]] = []
    with reward_server(BUNDLED_MODEL) as server, RewardClient(server.url) as client:
        for index in track(range(edits), "tricks", console=console):
            edit = make_edit(WORLD, index, 1)
            source, honest = edit.picture(), honest_edit(edit)
            found = Judge(client, edit).score([trick(source, honest) for trick in TRICKS.values()])
            for name, (reward, caught) in zip(TRICKS, found, strict=True):
                if reward is None or found[0][0] is None:
                    seen[name].failed += 1
                    continue
                seen[name].rewards.append(reward)
                seen[name].honest.append(found[0][0])
                seen[name].caught[caught] += 1
        chosen = [make_edit(WORLD, index, 1) for index in range(searched)]
        with ThreadPoolExecutor(max(1, searched)) as pool:  # all at once, which fills the engine's steps
            running = [pool.submit(searched_noise, Judge(client, edit), edit, queries) for edit in chosen]
            searches += [each.result() for each in track(running, "noise", console=progress)]
    table = Table("trick", "mean reward", "at least 0.5", "as the honest edit", "what caught it", "failed")
    figures: dict[str, object] = {}
    for name, one in seen.items():
        half = share(reward >= 0.5 for reward in one.rewards)
        equal = share(reward >= honest for reward, honest in zip(one.rewards, one.honest, strict=True))
        mean = sum(one.rewards) / len(one.rewards) if one.rewards else math.nan
        caught = ", ".join(f"{what} {count}" for what, count in one.caught.most_common(3))
        table.add_row(name, f"{mean:.3f}", str(half), str(equal), caught, str(one.failed))
        figures[name] = {"mean": mean, "half": half.as_dict(), "equal": equal.as_dict(), "caught": one.caught}
    console.print(table)
    for start, best in searches:
        console.print(f"noise, {queries} queries: {start:.3f} -> {best:.3f}")
    figures["noise"] = {"queries": queries, "found": searches}
    write_figures(out, {"edits": edits, "tricks": figures})


if __name__ == "__main__":
    typer.run(main)
