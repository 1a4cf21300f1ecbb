"""The guards of one edit: what they find, and what of it may decide a reward."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from edit_rrm.guards.alignment import Aligner, Alignment, Matrix, described, undone
from edit_rrm.guards.asked import Asked, asked_for
from edit_rrm.guards.change import Closer, View
from edit_rrm.guards.frames import added_depth
from edit_rrm.guards.maps import ChangeMap
from edit_rrm.guards.modes import ALL_ENFORCED, GuardModes, GuardName, guard_modes
from edit_rrm.guards.settings import DEFAULT_SETTINGS, GuardSettings
from edit_rrm.guards.sizes import aspect_change, is_editors_size
from edit_rrm.image_scale import Size
from edit_rrm.images import EditImage

_SAME = 1 / 255  # of a pixel: what rounding does
_ASKED = {
    "nothing": "the instruction asks for no change",
    "movement": "the instruction asks to move the picture in its frame",
    "fine": "the instruction asks for a fine change",
    "frame": "the instruction asks for a frame or bars",
    "shape": "the instruction asks for another shape",
    "plain": "the instruction asks for a plain picture",
}
_NOT_UNDERSTOOD = "the instruction is in no language whose words are known here"
_EDITORS_SIZE = "it is a size that editors give whatever the source's"
_SMALL_THING = "alike but for something small or thin"


@dataclass(frozen=True)
class GuardResult:
    """One guard's finding. What `value` measures depends on the guard, see `EditGuards.check`."""

    name: GuardName
    triggered: bool
    value: float
    decides: bool = False
    """Whether it fired, is to be enforced, and is not what was asked for."""
    note: str = ""
    """Why one that fired does not decide, or did not fire."""
    alignment: Alignment | None = None
    """Of `no_edit`: the small movement that was undone before measuring."""


@dataclass(frozen=True)
class _Before:
    """A source at one working size."""

    image: Image.Image

    @cached_property
    def view(self) -> View:
        return View.of(self.image)

    @cached_property
    def aligner(self) -> Aligner:
        return Aligner(self.image)


class EditGuards:
    """The guards of one edit: what they need of the source is computed once for all its candidates.

    `instruction` tells what was asked for; without one every guard that fires decides. Those that `modes`
    switches off are not computed.
    """

    def __init__(
        self,
        source: EditImage,
        settings: GuardSettings = DEFAULT_SETTINGS,
        *,
        instruction: str | None = None,
        modes: GuardModes = ALL_ENFORCED,
    ) -> None:
        self._source = source
        self._settings = settings
        self._modes = modes
        self._asked = Asked() if instruction is None else asked_for(instruction)
        self._befores: dict[Size, _Before] = {}
        self._unmanaged: EditGuards | None = None
        """The source as an editor sees it that knows no colour profiles; only for `no_edit`."""
        if source.unmanaged is not None and modes["no_edit"] != "off":
            only = guard_modes("off", {"no_edit": modes["no_edit"]})
            self._unmanaged = EditGuards(source.unmanaged, settings, instruction=instruction, modes=only)

    def check(self, candidate: EditImage) -> tuple[GuardResult, ...]:
        """The results of `no_edit`, `blank`, `border` and `size`, in this order, fired or not.

        - `no_edit` fires when the two are nearly identical. Value: the largest change that a patch or the
          whole image shows in brightness, colour or texture, 0 to 1 of full scale (1 is black to white),
          after a small movement is undone. A small thing that stands out of the rest keeps it silent.
        - `blank` fires when the candidate is flat. Value: the range of its patches' brightness or colour,
          0 to 1.
        - `border` fires when the candidate has a frame or bars that the source lacks. Value: the thinnest
          one's depth as a share of the image's height or width; 0 without any.
        - `size` fires when the aspect ratio is another. Value: the larger ratio / the smaller one - 1.

        Safe to call from several threads.
        """
        found = []
        if self._needs_pixels:
            before, after = self._small(candidate)
            view = View.of(after)
            if self._modes["no_edit"] != "off":
                result = self._no_edit(candidate, before, after, view)
                if not result.triggered and self._unmanaged is not None:
                    result = min(result, self._unmanaged.check(candidate)[0], key=lambda found: found.value)
                found.append(result)
            if self._modes["blank"] != "off":
                found.append(self._blank(view))
            if self._modes["border"] != "off":
                found.append(self._border(before.image, after))
        if self._modes["size"] != "off":
            found.append(self._size(candidate))
        return tuple(self._decided(result) for result in found)

    def change_map(self, candidate: EditImage) -> ChangeMap:
        """Where the candidate changed, whatever the guards make of it."""
        before, after = self._small(candidate)
        matrix = before.aligner.find(after)
        moved = after if matrix is None else undone(after, before.image, matrix)
        return ChangeMap(
            before.view.change_map(View.of(moved)),
            described(matrix, before.image.size),
            self._settings.no_edit_change,
        )

    @property
    def _needs_pixels(self) -> bool:
        return any(self._modes[name] != "off" for name in ("no_edit", "blank", "border"))

    def _small(self, candidate: EditImage) -> tuple[_Before, Image.Image]:
        size = _common_size(self._source, candidate, self._settings.working_side)
        return self._before(size), _resized(candidate.image, size)

    def _before(self, size: Size) -> _Before:
        if size not in self._befores:  # two threads may both come here; they compute the same
            self._befores[size] = _Before(_resized(self._source.image, size))
        return self._befores[size]

    def _no_edit(self, candidate: EditImage, before: _Before, after: Image.Image, view: View) -> GuardResult:
        matrix = None if self._asked.movement else before.aligner.find(after)
        if matrix is not None:
            view = View.of(undone(after, before.image, matrix))
        change = before.view.change(view)
        result = GuardResult(
            "no_edit",
            change < self._settings.no_edit_change,
            change,
            alignment=described(matrix, before.image.size),
        )
        return self._looked_at_closer(candidate, result, matrix) if result.triggered else result

    def _looked_at_closer(
        self, candidate: EditImage, result: GuardResult, matrix: Matrix | None
    ) -> GuardResult:
        size = _common_size(self._source, candidate, self._settings.fine_side, whole=True)
        large, fine = self._before(size), _resized(candidate.image, size)
        if matrix is not None:
            fine = undone(fine, large.image, matrix)
        closer = Closer.of(large.image, fine)
        if closer.stands_out:
            return replace(result, triggered=False, value=max(result.value, closer.peak), note=_SMALL_THING)
        if self._asked.fine and closer.peak > _SAME:
            return replace(result, note=_ASKED["fine"])
        return result

    def _blank(self, view: View) -> GuardResult:
        spread = view.range()
        return GuardResult("blank", spread < self._settings.blank_range, spread)

    def _border(self, before: Image.Image, after: Image.Image) -> GuardResult:
        tolerance = round(self._settings.border_tolerance * 255)
        depth = added_depth(np.asarray(before), np.asarray(after), tolerance)
        return GuardResult("border", depth >= self._settings.border_depth, depth)

    def _size(self, candidate: EditImage) -> GuardResult:
        sizes = self._source.full_size, candidate.full_size
        aspect = aspect_change(*sizes)
        result = GuardResult("size", aspect > self._settings.size_change, aspect)
        if result.triggered and is_editors_size(*sizes):
            return replace(result, note=_EDITORS_SIZE)
        return result

    def _decided(self, result: GuardResult) -> GuardResult:
        """The result with what speaks against its deciding, or with `decides`."""
        if not result.triggered or result.note:
            return result
        asked = self._asked
        note = ""
        if result.name == "no_edit" and asked.nothing:
            note = _ASKED["nothing"]
        elif result.name == "blank" and asked.plain:
            note = _ASKED["plain"]
        elif result.name == "border" and asked.frame:
            note = _ASKED["frame"]
        elif result.name == "size" and asked.shape:
            note = _ASKED["shape"]
        elif result.name in ("border", "size") and not asked.understood:
            note = _NOT_UNDERSTOOD
        return replace(result, note=note, decides=not note and self._modes[result.name] == "enforce")


def check_guards(
    source: EditImage,
    candidate: EditImage,
    settings: GuardSettings = DEFAULT_SETTINGS,
    *,
    instruction: str | None = None,
) -> tuple[GuardResult, ...]:
    """`EditGuards.check` for a single candidate."""
    return EditGuards(source, settings, instruction=instruction).check(candidate)


def reward_ceiling(results: Iterable[GuardResult]) -> float | None:
    """The highest reward the guards that decide allow: 0.0, 0.5, or None when none of them limits it."""
    return ceiling_of(result.name for result in results if result.decides)


def ceiling_of(deciding: Iterable[str]) -> float | None:
    """`reward_ceiling`, from the names of those that decide."""
    names = set(deciding)
    if names & {"no_edit", "blank"}:
        return 0.0
    return 0.5 if names else None


def _common_size(source: EditImage, candidate: EditImage, longest: int, *, whole: bool = False) -> Size:
    """The source's shape, no larger than either image or the limit: enlarging invents differences.

    `whole`: smaller than the source by a whole factor, which is the cheapest to come to.
    """
    factor = max(source.width, source.height) / longest
    scale = 1 / max(1.0, math.ceil(factor) if whole else factor)
    width = min(max(1, round(source.width * scale)), candidate.width)
    height = min(max(1, round(source.height * scale)), candidate.height)
    return width, height


def _resized(image: Image.Image, size: Size) -> Image.Image:
    """Hamming leaves an image most like the usual resizers do; whole factors are averaged first."""
    return image if image.size == size else image.resize(size, Image.Resampling.HAMMING, reducing_gap=1.0)
