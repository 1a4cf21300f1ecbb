"""Pictures of the shapes world by name: `shapes:SEED/INDEX/source` or `shapes:SEED/INDEX/CANDIDATE`.

They need no file: thousands of rows can be made without drawing one. `picture` is what rows of
`edit_rrm_training` reach by the entry point `edit_rrm.pictures`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from edit_rrm_shapes.world.dataset import EditRecord, make_edit

SHAPES_CANDIDATES = 4
"""A source's pixel noise is drawn after its candidates: a reference means the source of an edit with this
many, and candidate k is the same whatever the number."""
_SHAPES = re.compile(r"shapes:(?P<seed>\d+)/(?P<index>\d+)/(?P<which>source|\d+)")


@dataclass(frozen=True)
class ShapesRef:
    """A picture of the shapes world; `candidate` is None for the source."""

    seed: int
    index: int
    candidate: int | None = None

    def __str__(self) -> str:
        return f"shapes:{self.seed}/{self.index}/{'source' if self.candidate is None else self.candidate}"

    @classmethod
    def parse(cls, reference: str | bytes) -> "ShapesRef | None":
        """None for a reference of another form."""
        match = _SHAPES.fullmatch(reference) if isinstance(reference, str) else None
        if match is None:
            return None
        which = match["which"]
        return cls(int(match["seed"]), int(match["index"]), None if which == "source" else int(which))

    def edit(self) -> EditRecord:
        """The edit the picture belongs to, with at least `SHAPES_CANDIDATES` candidates."""
        return _edit(self.seed, self.index, max(SHAPES_CANDIDATES, (self.candidate or 0) + 1))

    def picture(self) -> Image.Image:
        """The picture itself, drawn."""
        edit = self.edit()
        return edit.picture() if self.candidate is None else edit.candidates[self.candidate].picture()


def picture(reference: str) -> Image.Image:
    """The picture of a reference, drawn. Raises FileNotFoundError for a name of another form."""
    found = ShapesRef.parse(reference)
    if found is None:
        raise FileNotFoundError(
            f"{reference!r} is no shapes:SEED/INDEX/source or shapes:SEED/INDEX/CANDIDATE"
        )
    return found.picture()


@lru_cache(maxsize=256)
def _edit(seed: int, index: int, candidates: int) -> EditRecord:
    return make_edit(seed, index, candidates)
