"""The SFT set on files: reads whatever there is, mixes it (mix.py), writes shards. Safe to kill.

OUT holds the shards, `validation/` with those held out, `refused.ndjson` and `mix.json`, which says what the
set was made of and, when it is done, what it holds. Until then the rows that were read lie in `.store/`;
a shard is whole or not there, and one that is there is not written again.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from edit_rrm.errors import EditRRMError
from edit_rrm.whole_files import write_whole
from edit_rrm_training.data.given_rows import given_rows
from edit_rrm_training.data.pictures import check_reference
from edit_rrm_training.data.row_shards import ShardFormat, moved, shard_names, write_shard
from edit_rrm_training.data.row_store import row_at, store_rows
from edit_rrm_training.data.sft_rows import SftRow
from edit_rrm_training.data.shards import all_shards, fingerprint
from edit_rrm_training.errors import RowError, StepError
from edit_rrm_training.pipeline.mix import Indices, RowFacts, mix
from edit_rrm_training.pipeline.select import Variant

MANIFEST = "mix.json"
REFUSED = "refused.ndjson"  # not .jsonl: it is no shard
VALIDATION = "validation"
_STORE = ".store"

OnDone = Callable[[str, int, int | None], None]
"""Told the name of the part of the work, how many rows of it are done, and of how many if that is known."""


class MixSettings(BaseModel):
    """How rows are mixed and written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: dict[str, float] = Field(default_factory=dict)
    validation: float = 0.0
    count: int | None = None
    seed: int = 0
    kind: ShardFormat = "parquet"
    shard_rows: int = 50_000
    bad_rows: int | None = None
    """So many bad rows are left out, and one more ends the work; any number without it."""
    check_pictures: bool = True


class MixReport(BaseModel):
    """What a set holds, in rows; `train` and `validation` by task and category ("" without one)."""

    train: dict[str, dict[str, int]]
    validation: dict[str, dict[str, int]]
    repeated: dict[str, int]
    unused: dict[str, int]
    refused: dict[str, int]
    """By reason."""

    @property
    def rows(self) -> int:
        """Those to train on."""
        return sum(sum(of_task.values()) for of_task in self.train.values())


class _Manifest(BaseModel):
    files: tuple[str, ...]
    fingerprint: str
    settings: MixSettings
    report: MixReport | None = None


def files_of(places: Sequence[Path], variant: Variant) -> tuple[Path, ...]:
    """The files of rows that places mean: a place may also be a folder of the pipeline, whose rows of the
    variant and decompositions are meant. Raises RowError, StepError."""
    return all_shards(part for place in places for part in _parts(place, variant))


def write_mix(
    files: Sequence[Path], out: Path, settings: MixSettings, on_done: OnDone = lambda name, done, of: None
) -> MixReport:
    """Writes the set, or what is left of it; one that is done is only reported.

    Raises StepError for an `out` that holds another set, and past `bad_rows`; RowError.
    """
    begun = _Manifest(files=tuple(map(str, files)), fingerprint=fingerprint(files), settings=settings)
    found = _read_manifest(out)
    if found is not None:
        if found.model_copy(update={"report": None}) != begun:
            raise StepError(
                f"{out} holds a set of other files or settings ({MANIFEST} says which): "
                "choose another --out, or delete it"
            )
        if found.report is not None:
            return found.report
    write_whole(out / MANIFEST, begun.model_dump_json(indent=2))
    refused = _Refused(out / REFUSED, settings.bad_rows)
    stored = store_rows(
        files, out / _STORE, read=lambda file: _reading(file, settings, on_done), on_bad=refused
    )
    facts = RowFacts(*(_column(stored, name) for name in ("task", "key", "edit")))
    made = mix(
        facts, shares=settings.shares, validation=settings.validation, most=settings.count,
        seed=settings.seed,
    )  # fmt: skip
    total = len(made.train) + len(made.validation)
    for place, chosen in ((out, made.train), (out / VALIDATION, made.validation)):
        _write(stored, chosen, place, settings, lambda done: on_done("write", done, total))
    categories = _column(stored, "category")
    report = MixReport(
        train=_table(facts.tasks[made.train], categories[made.train]),
        validation=_table(facts.tasks[made.validation], categories[made.validation]),
        repeated=dict(Counter(facts.tasks[made.repeated])),
        unused=dict(Counter(facts.tasks[made.unused])),
        refused=refused.reasons(),
    )
    write_whole(out / MANIFEST, begun.model_copy(update={"report": report}).model_dump_json(indent=2))
    del stored
    shutil.rmtree(out / _STORE)
    return report


def _parts(place: Path, variant: Variant) -> list[Path]:
    for folder in (place / "sft", place):
        if (folder / "decompose.jsonl").is_file():
            return [folder / f"{variant.value}.jsonl", folder / "decompose.jsonl"]
    if (place / "decomposed.jsonl").is_file():
        raise StepError(f"{place} holds steps of the pipeline and no sft/: first run `pipeline select`")
    return [place]


def _read_manifest(out: Path) -> _Manifest | None:
    file = out / MANIFEST
    return _Manifest.model_validate_json(file.read_bytes()) if file.exists() else None


def _reading(file: Path, settings: MixSettings, on_done: OnDone) -> Iterator[tuple[int, SftRow | RowError]]:
    for number, row in given_rows(file):
        on_done("read", 1, None)
        problem = None
        if isinstance(row, SftRow) and settings.check_pictures:
            problem = _without_picture(row, file, number)
        yield number, problem or row


def _without_picture(row: SftRow, file: Path, number: int) -> RowError | None:
    for field, reference in row.named_pictures.items():
        try:
            check_reference(reference, file.parent)
        except (OSError, EditRRMError) as error:
            return RowError(file, number, field, f"no picture: {error}")
    return None


class _Refused:
    """Takes bad rows, up to a number, and keeps them in a file."""

    def __init__(self, file: Path, most: int | None) -> None:
        self._file, self._most, self._count = file, most, 0

    def __call__(self, error: RowError) -> None:
        if self._count == self._most:
            raise StepError(f"more than {self._most} bad rows (--bad-rows): {error}") from error
        with self._file.open("a" if self._count else "w", encoding="utf-8") as lines:
            lines.write(json.dumps({**_place(error), "problem": error.detail}, ensure_ascii=False) + "\n")
        self._count += 1

    def reasons(self) -> dict[str, int]:
        """How often each reason was given, the most frequent first."""
        if not self._file.exists():
            return {}
        with self._file.open("rb") as lines:
            found = Counter(_reason(json.loads(line)) for line in lines)
        return dict(found.most_common())


def _place(error: RowError) -> dict[str, Any]:
    return {"file": str(error.path), "row": error.row, "field": error.field}


def _reason(refused: Mapping[str, Any]) -> str:
    """Without what differs from row to row."""
    problem = re.sub(r"[0-9]+", "N", refused["problem"].partition(":")[0].partition("'")[0].strip())
    return f"{refused['field']}: {problem}" if refused["field"] else problem


def _column(stored: Dataset, name: str) -> NDArray[Any]:
    column = stored.data.column(name)
    if str(column.type) != "string":
        return np.asarray(column.to_numpy())
    codes = column.dictionary_encode().combine_chunks()
    texts = np.array([*codes.dictionary.to_pylist(), ""], dtype=object)
    return np.asarray(texts[codes.indices.fill_null(len(texts) - 1).to_numpy()])


def _table(tasks: NDArray[np.object_], categories: NDArray[np.object_]) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for (task, category), count in sorted(Counter(zip(tasks, categories, strict=True)).items()):
        table.setdefault(task, {})[category] = count
    return table


def _write(
    stored: Dataset, rows: Indices, out: Path, settings: MixSettings, on_done: Callable[[int], None]
) -> None:
    names = shard_names(len(rows), settings.shard_rows, settings.kind)
    for place, name in enumerate(names):
        part = rows[place * settings.shard_rows : (place + 1) * settings.shard_rows]
        if (out / name).exists():
            on_done(len(part))
        else:
            write_shard(out / name, _moved(stored, part, out, on_done))


def _moved(stored: Dataset, rows: Indices, out: Path, on_done: Callable[[int], None]) -> Iterator[SftRow]:
    for index in rows:
        row, file, _ = row_at(stored[int(index)])
        on_done(1)
        yield moved(row, file.parent, out)
