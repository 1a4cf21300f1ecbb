"""What the guards say of photographs: honest edits, copies, autoencoder passes, small moves, frames.

    python benchmarks/guards.py [--part 10] [--of shared] [--json FILE]

Each row is a kind of candidate with its share, its 95 % interval and its bar; then the bars that were missed,
with cases to look at, and the processor time of a 1024 x 1024 candidate. Exit status 1 when a bar is missed.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rig.guard_cases import KINDS, Case, Kind, cases_of, large_cases, real_cases, with_patch
from rig.photographs import photographs, real_sources

from edit_rrm.guards import EditGuards, GuardResult, reward_ceiling
from edit_rrm.image_scale import ImageScale
from edit_rrm.images import EditImage
from edit_rrm.intervals import Share

BARS: dict[Kind, tuple[str, float]] = {  # a share that may not be passed, or must be reached
    "honest": ("at most", 0.005),
    "copy": ("at least", 0.99),
    "autoencoder": ("at least", 0.95),
    "moved": ("at least", 0.90),
    "framed": ("at least", 0.90),
}
Of = Literal["shipped", "shared"]
SHOWN_SIDE = 1280
"""Pixels the judges' default profile is shown of the longest side: guards see the same."""


@dataclass(frozen=True)
class Seen:
    """A case and what the guards found."""

    case: Case
    results: tuple[GuardResult, ...]

    @property
    def lowered(self) -> bool:
        """Whether a guard limits the reward."""
        return reward_ceiling(self.results) is not None

    def told(self) -> str:
        """The findings on one line."""
        fired = [
            f"{r.name} {r.value:.3f}" + ("" if r.decides else f" ({r.note})")
            for r in self.results
            if r.triggered
        ]
        no_edit = f"no_edit {self.results[0].value:.3f}"
        return f"{self.case.name} [{self.case.instruction}]: {', '.join(fired) or no_edit}"


def seen(case: Case) -> Seen:
    """What the guards find in a case."""
    source, candidate = (EditImage.from_pil(image, ImageScale(SHOWN_SIDE)) for image in case.make())
    return Seen(case, EditGuards(source, instruction=case.instruction).check(candidate))


def shares(found: Iterable[Seen]) -> dict[Kind, Share]:
    """Of each kind, the share whose reward a guard limits."""
    by_kind: dict[Kind, list[bool]] = defaultdict(list)
    for one in found:
        by_kind[one.case.kind].append(one.lowered)
    return {kind: Share(sum(by_kind[kind]), len(by_kind[kind])) for kind in KINDS if kind in by_kind}


def missed(kind: Kind, share: Share) -> bool:
    """Whether a kind's share is on the wrong side of its bar."""
    if kind not in BARS:
        return False
    word, bar = BARS[kind]
    return share.value > bar if word == "at most" else share.value < bar


def milliseconds(rounds: int = 12) -> dict[str, float]:
    """Processor time of a 1024 x 1024 candidate of a known source, by what it is."""
    pictures = list(photographs().values())
    source, other = (image.resize((1024, 1024), Image.Resampling.LANCZOS) for image in pictures[:2])
    guards = EditGuards(EditImage.from_pil(source), instruction="add a ball")
    found = {}
    for name, candidate in (("an edit", with_patch(source, other, 0.25, 1)), ("a copy", source)):
        image = EditImage.from_pil(candidate)
        guards.check(image)
        started = time.process_time()
        for _ in range(rounds):
            guards.check(image)
        found[name] = (time.process_time() - started) / rounds * 1000
    return found


def main(
    part: Annotated[int, typer.Option(min=1, help="Take each PART-th case only.")] = 1,
    of: Annotated[
        Of, typer.Option(help="Photographs: that packages ship, or the shared ones, that no threshold saw.")
    ] = "shipped",
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write every finding.")] = None,
) -> None:
    """See above."""
    console = Console()
    if of == "shipped":
        cases = [*cases_of(photographs(), part), *list(large_cases())[::part]]
    else:
        cases = [*cases_of(real_sources(), part), *real_cases()]
    found = [seen(case) for case in track(cases, "guards", console=console)]
    table = Table("candidates", "n", "limited by a guard", "95 %", "bar", "")
    by_kind = shares(found)
    for kind, share in by_kind.items():
        low, high = share.interval
        word, bar = BARS.get(kind, ("", float("nan")))
        table.add_row(
            f"{kind}: {KINDS[kind]}", str(share.total), f"{share.value:.1%}", f"{low:.1%} to {high:.1%}",
            f"{word} {bar:.1%}" if word else "none", "missed" if missed(kind, share) else "",
        )  # fmt: skip
    console.print(table)
    console.print(f"{len(found)} cases")
    for kind in by_kind:
        wrong = [one for one in found if one.case.kind == kind and one.lowered == (kind == "honest")]
        for one in wrong[:12] if kind != "toned" else ():
            console.print(f"  {kind}: {one.told()}", style="dim", markup=False)
    for name, cost in milliseconds().items():
        console.print(f"{cost:.1f} ms of processor time for {name} of 1024 x 1024")
    if json_file is not None:
        rows = [
            {"kind": one.case.kind, "name": one.case.name, "lowered": one.lowered,
             "guards": {r.name: [r.triggered, r.decides, round(r.value, 4), r.note] for r in one.results}}
            for one in found
        ]  # fmt: skip
        json_file.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    if any(missed(kind, share) for kind, share in by_kind.items()):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
