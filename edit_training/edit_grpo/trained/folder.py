"""The folder that edits are sampled into: what lies where, what is missing, and by what it was made.

Beside the pictures lie `sample.json` (what they were made by), `edits.jsonl` (what `edit-rrm score` reads),
`failures.jsonl` and `sources/`, the sources as the editor saw them where that differs from their files.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from edit_grpo.data.asked import AskedEdit, AskedEdits, file_name, once, picture_name
from edit_grpo.errors import SamplingError
from edit_grpo.trained.drawing import Drawing
from edit_rrm.nested_settings import flat
from edit_rrm.settings_files import changed_settings
from edit_rrm.shard import WHOLE, Shard

MADE_BY, EDITS, FAILURES, SOURCES = "sample.json", "edits.jsonl", "failures.jsonl", "sources"
_END_BYTES = 2**20


class MadeBy(BaseModel):
    """What decides the pictures of a folder; one made otherwise is not gone on with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    editor: str
    """As it was named: for people, another way to the same weights is none to other pictures."""
    policy: dict[str, Any]
    weights: str
    """See `weights_mark`."""
    steps: int
    seed: int
    edits: str
    """Digest of the rows that were asked for."""


@dataclass(frozen=True)
class SampleJob:
    """What is sampled into which folder."""

    edits: AskedEdits
    out: Path
    model: str
    """What `edits.jsonl` calls the editor."""
    drawing: Drawing
    per_edit: int = 1
    limit: int | None = None
    shard: Shard = WHOLE
    sheet_edits: int = 24

    def asked(self, *, sources: bool) -> Iterator[AskedEdit]:
        """This part's edits."""
        edits = once(self.edits.read(sources=sources), self.per_edit)
        return self.shard.of(islice(edits, self.limit))

    def place(self, edit: AskedEdit, number: int) -> Path:
        """Where a picture lies."""
        return self.out / f"{picture_name(edit, number)}.png"

    def missing(self, edit: AskedEdit) -> list[int]:
        """The numbers of the pictures that are not there yet: all of an edit that cannot be carried out."""
        numbers = range(self.per_edit)
        return [number for number in numbers if edit.problem or not self.place(edit, number).is_file()]

    def kept_source(self, edit: AskedEdit, number: int) -> Path:
        """Where source `number`, from 0, as the editor saw it lies, if it is kept."""
        name = edit.name if number == 0 else f"{edit.name}/{number + 1}"
        return self.out / SOURCES / f"{name}.png"

    @property
    def edits_file(self) -> Path:
        return self.shard.file(self.out / EDITS)

    def edits_file_of(self, kind: str) -> Path:
        """The same of one kind of edit."""
        return self.shard.file(self.out / f"edits.{file_name(kind)}.jsonl")

    @property
    def failures_file(self) -> Path:
        return self.shard.file(self.out / FAILURES)


def claim(out: Path, made_by: MadeBy) -> None:
    """Makes the folder one of such pictures. Raises SamplingError where it is another's."""
    out.mkdir(parents=True, exist_ok=True)
    others = [path.name for path in out.iterdir() if not path.name.endswith(".partial")]
    file = out / MADE_BY
    if not file.exists():
        if others:
            raise SamplingError(
                f"{out} holds {others[0]!r}, which this command did not make; choose another --out"
            )
        partial = out / f"{MADE_BY}.{os.getpid()}.partial"  # several processes may begin at once
        partial.write_text(made_by.model_dump_json(indent=2) + "\n", encoding="utf-8")
        os.replace(partial, file)
    try:
        begun = MadeBy.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise SamplingError(f"{file} is not of this version; choose another --out") from error
    before, now = (flat(each.model_dump(exclude={"editor"})) for each in (begun, made_by))
    changed = changed_settings(before, now)
    if changed:
        raise SamplingError(
            f"{out} holds pictures that were made otherwise ({', '.join(changed)}); choose another --out"
        )


def weights_mark(*folders: Path) -> str:
    """Tells one editor's weights from another's by size and ends of their files: whole ones take minutes.

    `folders` are those of its pipeline and its adapter.
    """
    digest = hashlib.sha256()
    parts = (part if (part := folder / "transformer").is_dir() else folder for folder in folders)
    for file in (file for part in parts for file in sorted(part.glob("*.safetensors"))):
        size = file.stat().st_size
        with file.open("rb") as weights:
            ends = weights.read(_END_BYTES)
            weights.seek(max(0, size - _END_BYTES))
            ends += weights.read(_END_BYTES)
        digest.update(f"{file.name} {size} ".encode() + ends)
    return digest.hexdigest()[:16]
