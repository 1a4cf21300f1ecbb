"""Candidates with their rewards as one picture: what an update learned from. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from edit_rrm.sheets import SheetRow, contact_sheet

GROUPS_SHOWN = 4
SIDE = 160  # pixels; what is kept of a picture until its reward is known
_IN_A_ROW = 8


@dataclass(frozen=True)
class ShownGroup:
    """One group as it was scored: pictures of at most SIDE pixels; None for one that is not finite."""

    instruction: str
    sources: tuple[Image.Image, ...]
    candidates: tuple[Image.Image | None, ...]
    rewards: tuple[float | None, ...]
    """Beside the candidates, after shaping; None for what got none."""
    error: str = ""
    """Why no candidate was scored."""


def thumbnail(picture: Image.Image) -> Image.Image:
    """A copy of at most SIDE pixels a side."""
    small = picture.copy()
    small.thumbnail((SIDE, SIDE))
    return small


def candidate_sheet(groups: Sequence[ShownGroup]) -> Image.Image:
    """A group's sources, then its candidates from the highest reward to the lowest and to those without."""
    return contact_sheet([row for group in groups for row in _rows(group)], columns=1, side=SIDE)


def _rows(group: ShownGroup) -> list[SheetRow]:
    grey = Image.new("RGB", group.sources[0].size, "grey")
    judged = zip(group.candidates, group.rewards, strict=True)
    ordered = sorted(judged, key=lambda each: -1.0 if each[1] is None else each[1], reverse=True)
    shown = [(source, "source") for source in group.sources]
    shown += [(picture or grey, _label(picture, reward)) for picture, reward in ordered]
    caption = f"{group.instruction} ({group.error})" if group.error else group.instruction
    return [
        SheetRow(
            caption if start == 0 else "",
            tuple(picture for picture, _ in shown[start : start + _IN_A_ROW]),
            tuple(label for _, label in shown[start : start + _IN_A_ROW]),
        )
        for start in range(0, len(shown), _IN_A_ROW)
    ]


def _label(picture: Image.Image | None, reward: float | None) -> str:
    if picture is None:
        return "not finite"
    return "no reward" if reward is None else f"{reward:.3f}"
