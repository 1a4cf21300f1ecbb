"""Editors: what turns a source image and an instruction into candidates."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image

from edit_rrm_training.data.pictures import ShapesRef
from edit_rrm_training.errors import EditorError
from edit_rrm_training.pipeline.rows import DecomposedEdit

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Edited:
    """One candidate: a picture to be saved, or a reference to one that exists; and who made it."""

    picture: Image.Image | str
    editor: str


class Editor(Protocol):
    """Makes candidates; the same edit, number and seed give the same candidate."""

    @property
    def name(self) -> str: ...

    def edit(self, edit: DecomposedEdit, number: int, source: Callable[[], Image.Image], seed: int) -> Edited:
        """Candidate `number`, from 0, of an edit. `source` loads the source image. Raises EditorError."""
        ...


class ShapesEditor:
    """The shapes world's simulated editors: candidate k of the world's own edit, by reference, undrawn."""

    name = "shapes"

    def edit(self, edit: DecomposedEdit, number: int, source: Callable[[], Image.Image], seed: int) -> Edited:
        """See `Editor`; which of the four editors it was stands in the answer."""
        known = ShapesRef.parse(edit.source)
        if known is None or known.candidate is not None:
            raise EditorError(f"edit {edit.id}: the shapes editor needs a shapes:SEED/INDEX/source")
        wanted = ShapesRef(known.seed, known.index, number)
        return Edited(str(wanted), wanted.edit().candidates[number].editor)


class FolderEditor:
    """Images that exist: `FOLDER/EDIT_ID.png` or, for several, `FOLDER/EDIT_ID-NUMBER.png` (.jpg, .webp).

    The folder's name is the editor's. Candidate 0 is looked for under either name.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise EditorError(f"there is no folder {folder}")
        self._folder = folder.resolve()
        self.name = folder.resolve().name

    def edit(self, edit: DecomposedEdit, number: int, source: Callable[[], Image.Image], seed: int) -> Edited:
        """See `Editor`; `seed` changes nothing."""
        stems = (edit.id, f"{edit.id}-{number}") if number == 0 else (f"{edit.id}-{number}",)
        for stem in stems:
            for ending in _ENDINGS:
                path = self._folder / f"{stem}{ending}"
                if path.is_file():
                    return Edited(str(path), self.name)
        raise EditorError(f"{self._folder} has no image {' or '.join(stems)} of {', '.join(_ENDINGS)}")


def open_editor(spec: str) -> Editor:
    """`shapes`, `folder=PATH`, or a pipeline of `diffusers_editor.RECIPES`: `NAME` or `NAME=WEIGHTS`.

    Raises EditorError for another.
    """
    from edit_rrm_training.pipeline.diffusers_editor import RECIPES, DiffusersEditor

    name, _, argument = spec.partition("=")
    if name == "shapes" and not argument:
        return ShapesEditor()
    if name == "folder" and argument:
        return FolderEditor(Path(argument))
    if name in RECIPES:
        return DiffusersEditor(name, argument or None)
    raise EditorError(f"unknown editor {spec!r}; expected shapes, folder=PATH, or one of {list(RECIPES)}")
