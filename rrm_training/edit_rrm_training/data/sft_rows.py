"""Rows of supervised fine-tuning: what the RRM is asked and what it shall write. The pipeline writes them,
`sft/` reads them; how a row becomes a prompt is `prompt_of`'s, so that both mean the same."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edit_rrm.principles import Principle
from edit_rrm.prompts import Prompt, PromptProfile
from edit_rrm.row_ids import RowId
from edit_rrm_training.data.jsonl import read_rows
from edit_rrm_training.data.pictures import PictureRef, placed
from edit_rrm_training.data.score_only import score_only_prompt
from edit_rrm_training.data.tar_shards import part_of

SftTask = Literal["verify", "decompose", "score_only"]
NO_EVIDENCE = "-"
"""What stands in trace format 1 where nobody gave a reason."""


class SftRow(BaseModel):
    """One example. `completion` is the text to learn: trace format 1, principle lines, or a score alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: RowId
    task: SftTask
    instruction: str = Field(min_length=1)
    source: PictureRef
    candidate: PictureRef | None = None
    principles: tuple[Principle, ...] | None = Field(default=None, min_length=1)
    completion: str = Field(min_length=1)
    teacher: str | None = None
    """Who wrote the completion."""
    selection: str | None = None
    """By which rule it was kept: `think`, `verify`, `think+verify`, or a name of another source's own."""
    category: str | None = None
    """The kind of edit, by which rows are counted."""

    @model_validator(mode="after")
    def _fits_its_task(self) -> "SftRow":
        expected = {"verify": (True, True), "decompose": (False, False), "score_only": (True, False)}[
            self.task
        ]
        given = (self.candidate is not None, self.principles is not None)
        for name, wanted, present in zip(("candidate", "principles"), expected, given, strict=True):
            if wanted != present:
                raise ValueError(f"a {self.task} row {'needs' if wanted else 'has no'} {name}")
        return self

    @property
    def pictures(self) -> tuple[str | bytes, ...]:
        """The pictures in the order of the prompt's slots."""
        return tuple(self.named_pictures.values())

    @property
    def named_pictures(self) -> dict[str, str | bytes]:
        """The same by their fields."""
        candidate = {} if self.candidate is None else {"candidate": self.candidate}
        return {"source": self.source, **candidate}

    def edit_key(self, folder: Path) -> int:
        """The same for all rows of one source and one instruction; relative paths start at `folder`. A source
        inside an archive is taken for the same: it lies there once a row."""
        inside = isinstance(self.source, str) and part_of(self.source)
        return _key(self.instruction, *(() if inside else _texts(folder, self.source)))

    def row_key(self, folder: Path) -> int:
        """The same for rows that ask the same of the same pictures and teach the same, whatever their ids."""
        asked = [f"{p.category.value}: {p.question}" for p in self.principles or ()]
        pictures = _texts(folder, *self.pictures)
        return _key(self.task, self.instruction, self.completion, str(len(pictures)), *pictures, *asked)


def _texts(folder: Path, *pictures: str | bytes) -> list[str]:
    return [
        hashlib.sha256(picture).hexdigest() if isinstance(picture, bytes) else placed(picture, folder)
        for picture in pictures
    ]


def _key(*texts: str) -> int:
    """64 bits of a hash, signed, as tables hold them."""
    digest = hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def prompt_of(row: SftRow, profile: PromptProfile) -> Prompt:
    """The prompt of a row, as the checkpoint will be asked when it is served with `profile`."""
    if row.task == "decompose":
        return profile.decompose(row.instruction, seed=0)
    if row.task == "score_only":
        return score_only_prompt(row.instruction)
    return profile.verify(row.instruction, row.principles or ())


def read_sft_rows(path: Path) -> Iterator[SftRow]:
    """The rows of a JSONL file, one at a time; picture paths in them are relative to the file, so load them
    with `load_image(row.source, path.parent)`. Raises RowError."""
    return read_rows(path, SftRow)
