"""Edits through an editor in batches of one size, each picture from noise of its own, failures kept apart.

It must not know files: sources come as pictures, and pictures go back to the caller.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from edit_grpo.data.asked import AskedEdit
from edit_grpo.errors import DecodeError, EditTrainingError, SamplingError
from edit_grpo.policies.policy import EditPolicy
from edit_grpo.rollout.ode_sampling import noise_of_rows, sample_ode
from edit_grpo.rollout.rollout import seed_of

WAITING_BATCHES = 8
"""So many batches of sources wait for others of their size; beyond, the fullest one goes as it is."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """Picture `number` of an edit, from 0, and the sources as the editor sees them."""

    edit: AskedEdit
    number: int
    sources: tuple[Image.Image, ...]


@dataclass(frozen=True)
class Drawing:
    """What decides a picture beside editor, source and instruction."""

    steps: int
    seed: int
    batch: int


def draw(
    policy: Callable[[], EditPolicy], wanted: Iterable[Wanted], drawing: Drawing
) -> Iterator[tuple[Wanted, Image.Image | EditTrainingError]]:
    """Each wanted picture, or why there is none. The order is that of full batches; nothing wanted asks for
    no `policy`.

    The noise is of seed, edit and number alone. A picture depends on its batch only by rounding. Raises
    SamplingError where a batch does not fit into the accelerator's memory.
    """
    for some in _of_one_size(wanted, drawing.batch):
        yield from _drawn(policy(), some, drawing)


def _drawn(
    policy: EditPolicy, some: Sequence[Wanted], drawing: Drawing
) -> Iterator[tuple[Wanted, Image.Image | EditTrainingError]]:
    try:
        pictures = _batch(policy, some, drawing)
    except EditTrainingError as error:
        if len(some) == 1:
            yield some[0], error
            return
        for one in some:  # so that what is wrong with one costs no other
            yield from _drawn(policy, [one], drawing)
        return
    except torch.OutOfMemoryError as error:
        width, height = some[0].sources[0].size
        raise SamplingError(
            f"{len(some)} pictures of {width}×{height} at once do not fit into memory: lower --batch, or the "
            f"pictures' area (--set area_pixels=262144): {error}"
        ) from error
    for one, picture in zip(some, pictures, strict=True):
        yield one, picture if picture is not None else DecodeError("the edited picture is not finite")


def _batch(policy: EditPolicy, some: Sequence[Wanted], drawing: Drawing) -> Sequence[Image.Image | None]:
    """The pictures of one batch; an edit with several is encoded once."""
    edits: list[Wanted] = []
    rows = []
    for one in some:
        if not edits or edits[-1].edit is not one.edit:
            edits.append(one)
        rows.append(len(edits) - 1)
    condition = policy.encode([one.sources for one in edits], [one.edit.instruction for one in edits])
    policy.release_encoders()
    if len(edits) < len(some):
        condition = condition.select(torch.tensor(rows, device=policy.device))
    seeds = [seed_of("sample", drawing.seed, one.edit.name, one.number) for one in some]
    noise = noise_of_rows(policy, condition, seeds)
    return policy.decode(sample_ode(policy, condition, noise, drawing.steps))


def _of_one_size(wanted: Iterable[Wanted], most: int) -> Iterator[list[Wanted]]:
    waiting: dict[tuple[tuple[int, int], ...], list[Wanted]] = defaultdict(list)
    held = 0
    for one in wanted:
        some = waiting[tuple(source.size for source in one.sources)]
        some.append(one)
        held += 1
        if len(some) == most or held > WAITING_BATCHES * most:
            sizes = max(waiting, key=lambda sizes: len(waiting[sizes]))
            full = waiting.pop(sizes)
            held -= len(full)
            yield full
    yield from waiting.values()
