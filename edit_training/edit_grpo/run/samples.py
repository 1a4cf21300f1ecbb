"""Edits through an editor as it is after training: pictures by the ODE, named by id, and a sheet of them."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from PIL import Image

from edit_grpo.errors import DecodeError
from edit_grpo.policies.policy import EditPolicy
from edit_grpo.rollout.ode_sampling import noise_of_rows, sample_ode
from edit_rrm.sheets import SheetRow, contact_sheet

BATCH = 24
_SHEET = "contact-sheet.png"


class Asked(Protocol):
    """An edit as sampling sees it."""

    @property
    def id(self) -> str: ...

    @property
    def instruction(self) -> str: ...

    def pictures(self) -> tuple[Image.Image, ...]:
        """The sources as RGB."""
        ...


E = TypeVar("E", bound=Asked)
Sources = tuple[Image.Image, ...]
"""An edit's sources as the policy prepares them."""


def edit_pictures(
    policy: EditPolicy, edits: Sequence[E], steps: int, seed: int = 0, batch: int = BATCH
) -> Iterator[tuple[E, Sources, Image.Image]]:
    """Each edit with its sources and the edited picture, its noise from the edit's id and `seed` alone.

    Up to `batch` edits in a row whose sources have the same sizes are sampled together.
    """
    for some in _of_one_size(policy, edits, batch):
        condition = policy.encode([sources for _, sources in some], [edit.instruction for edit, _ in some])
        seeds = [zlib.crc32(f"{seed}-{edit.id}".encode()) for edit, _ in some]
        noise = noise_of_rows(policy, condition, seeds)
        edited = policy.decode(sample_ode(policy, condition, noise, steps))
        for (edit, sources), after in zip(some, edited, strict=True):
            if after is None:
                raise DecodeError(f"the edited picture of {edit.id} is not finite")
            yield edit, sources, after


def sample_sheet(
    policy: EditPolicy, edits: Sequence[E], steps: int, beside: Callable[[E], Sequence[Image.Image]]
) -> Image.Image:
    """Sources, edited picture and what `beside` has to show, in a row each."""
    return contact_sheet([
        SheetRow(edit.instruction, (*sources, edited, *beside(edit)))
        for edit, sources, edited in edit_pictures(policy, edits, steps)
    ])  # fmt: skip


def write_samples(
    policy: EditPolicy,
    edits: Sequence[E],
    directory: Path,
    steps: int,
    seed: int,
    sheet_edits: int,
    *,
    batch: int = BATCH,
    beside: Callable[[E], Sequence[Image.Image]] = lambda edit: (),
) -> Iterator[Path]:
    """Writes `<edit id>.png` for each edit, one at a time, then a sheet of the first `sheet_edits`."""
    directory.mkdir(parents=True, exist_ok=True)
    rows: list[SheetRow] = []
    for edit, sources, edited in edit_pictures(policy, edits, steps, seed, batch):
        path = directory / f"{edit.id}.png"
        edited.save(path)
        if len(rows) < sheet_edits:
            rows.append(SheetRow(edit.instruction, (*sources, edited, *beside(edit))))
        yield path
    contact_sheet(rows).save(directory / _SHEET)


def _of_one_size(policy: EditPolicy, edits: Sequence[E], most: int) -> Iterator[list[tuple[E, Sources]]]:
    some: list[tuple[E, Sources]] = []
    for edit in edits:
        sources = tuple(policy.prepare(picture) for picture in edit.pictures())
        if some and (len(some) == most or _sizes(sources) != _sizes(some[0][1])):
            yield some
            some = []
        some.append((edit, sources))
    if some:
        yield some


def _sizes(sources: Sources) -> list[tuple[int, int]]:
    return [source.size for source in sources]
