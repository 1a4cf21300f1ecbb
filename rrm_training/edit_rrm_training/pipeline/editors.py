"""Editors: what turns a source image and an instruction into candidates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL import Image

from edit_rrm import plugins
from edit_rrm_training.errors import EditorError
from edit_rrm_training.pipeline.rows import DecomposedEdit

_GROUP: plugins.Group = "edit_rrm_training.editors"
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

    def close(self) -> None:
        """Gives memory back; asked for more, it begins anew."""
        ...


@runtime_checkable
class BatchEditor(Editor, Protocol):
    """One that makes several candidates of an edit at once."""

    def edit_batch(
        self,
        edit: DecomposedEdit,
        numbers: Sequence[int],
        source: Callable[[], Image.Image],
        seeds: Sequence[int],
    ) -> list[Edited]:
        """The candidates of those numbers, a seed each. Raises EditorError."""
        ...


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

    def close(self) -> None:
        """Nothing is held."""


def open_editor(spec: str) -> Editor:
    """`folder=PATH`, a pipeline of `diffusers_editor.RECIPES` (`NAME` or `NAME=WEIGHTS`), or the name of an
    editor that an installed package registers (entry point group `edit_rrm_training.editors`: a function
    without arguments).

    Raises EditorError for another.
    """
    from edit_rrm_training.pipeline.diffusers_editor import RECIPES, DiffusersEditor

    name, _, argument = spec.partition("=")
    if name == "folder" and argument:
        return FolderEditor(Path(argument))
    if name in RECIPES:
        return DiffusersEditor(name, argument or None)
    if name in plugins.names(_GROUP) and not argument:
        editor: Editor = plugins.load(_GROUP, name)()
        return editor
    known = ", ".join(["folder=PATH", *RECIPES, *plugins.names(_GROUP)])
    raise EditorError(f"unknown editor {spec!r}; expected one of {known}")
