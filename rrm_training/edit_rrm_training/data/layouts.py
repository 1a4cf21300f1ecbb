"""Published preference data, read from local files in the layouts in which they are published.

- `editreward-data`: TIGER-Lab's EditReward-Data, a JSON list; `path1` is always the preferred one, ties are
  marked `tie_case`.
- `editscore-bench`: EditScore's EditReward-Bench, Parquet; a pair a row. The row does not say which of the
  two outputs is preferred: taken to be the first, unless told otherwise.
- `tiger-bench`: TIGER-Lab's EditReward-Bench, Parquet. A row is a pair with `comparison_type` ("AvsC") or all
  candidates at once; `ranking` ("A>B", "A=B", "B>A=C") says the order. All pairs of a row are taken.
- `gold-edits`: a folder of edits with gold verdicts (gold_edits.py) and, in `pairs.jsonl`, which of their
  candidates are preferred: `{"id", "edit", "preferred", "non_preferred", "label"}`, by number.

Every reader raises RowError naming file, row and field.
"""

import json
import re
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edit_rrm.row_ids import RowId
from edit_rrm.wire import Instruction
from edit_rrm_training.data.gold_edits import FILE as GOLD_EDITS
from edit_rrm_training.data.gold_edits import GoldEditRow
from edit_rrm_training.data.jsonl import numbered_rows, read_rows
from edit_rrm_training.data.parquet import parquet_rows
from edit_rrm_training.data.pictures import PicturePath, rebased
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.errors import RowError

M = TypeVar("M", bound=BaseModel)
_RANKING = re.compile(r"[A-D](?:[>=][A-D])+")
_COMPARISON = re.compile(r"([A-D])vs([A-D])")


class _Published(BaseModel):
    """A row as others wrote it: fields that are not needed are let be."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class HubImage(_Published):
    """An image as Hugging Face datasets keep it in Parquet: the file's bytes, or a path."""

    bytes: Any = None
    path: PicturePath | None = None


class EditRewardDataRow(_Published):
    """A row of EditReward-Data."""

    prompt: Instruction
    path_src: PicturePath
    path1: PicturePath
    path2: PicturePath
    tie_case: bool


class EditScoreBenchRow(_Published):
    """A row of EditScore's EditReward-Bench."""

    key: tuple[str, str]
    instruction: Instruction
    input_image: HubImage
    output_images: tuple[HubImage, HubImage]
    dimension: Literal["prompt_following", "consistency", "overall"]


class TigerBenchRow(_Published):
    """A row of TIGER-Lab's EditReward-Bench."""

    id: str | int
    instruction: Instruction
    ranking: str
    source_image: HubImage
    candidate_1: HubImage
    candidate_2: HubImage
    candidate_3: HubImage | None = None
    candidate_4: HubImage | None = None
    comparison_type: str | None = None
    dataset: str | None = None


class _GoldPair(_Published):
    id: RowId
    edit: RowId
    preferred: int = Field(ge=0)
    non_preferred: int = Field(ge=0)
    label: Literal["prefer", "same"]


def _validated(model: type[M], data: object, path: Path, row: int) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise RowError.from_validation(path, row, error) from error


def _picture(image: HubImage, path: Path, row: int, field: str) -> str | bytes:
    if isinstance(image.bytes, bytes):
        return image.bytes
    if image.path:
        return image.path
    raise RowError(path, row, field, "the image has neither bytes nor a path")


def _parquet_rows(data: Path) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """File, row from 1 and content, over a file or every Parquet file below a folder."""
    files = [data] if data.is_file() else sorted(data.rglob("*.parquet"))
    if not files:
        raise RowError(data, 0, "", "there is no .parquet file below it")
    for path in files:
        for number, content in parquet_rows(path):
            yield path, number, content


def read_editreward_data(data: Path) -> Iterator[PreferencePair]:
    """See the module."""
    try:
        rows = json.loads(data.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise RowError(data, 0, "", f"not JSON: {error}") from error
    if not isinstance(rows, list):
        raise RowError(data, 0, "", "expected a JSON list of rows")
    for number, content in enumerate(rows, start=1):
        row = _validated(EditRewardDataRow, content, data, number)
        yield PreferencePair(
            id=f"{data.stem}-{number}", source=row.path_src, instruction=row.prompt, preferred=row.path1,
            non_preferred=row.path2, label="same" if row.tie_case else "prefer",
        )  # fmt: skip


def read_editscore_bench(data: Path, preferred_first: bool = True) -> Iterator[PreferencePair]:
    """See the module; the category is the dimension that was judged."""
    for path, number, content in _parquet_rows(data):
        row = _validated(EditScoreBenchRow, content, path, number)
        outputs = [_picture(image, path, number, "output_images") for image in row.output_images]
        preferred, other = outputs if preferred_first else reversed(outputs)
        yield PreferencePair(
            id=f"{row.key[0]}|{row.key[1]}|{row.dimension}", instruction=row.instruction,
            source=_picture(row.input_image, path, number, "input_image"), preferred=preferred,
            non_preferred=other, label="prefer", category=row.dimension,
        )  # fmt: skip


def ranks(ranking: str) -> dict[str, int]:
    """The rank of each letter, 0 the best: "B>A=C" is B 0, A 1, C 1. Raises ValueError."""
    plain = ranking.replace(" ", "").upper()
    letters = plain[::2]
    if not _RANKING.fullmatch(plain) or len(set(letters)) < len(letters):
        raise ValueError(f"expected letters A to D in order, such as 'A>B=C', got {ranking!r}")
    found = {letters[0]: 0}
    for relation, before, letter in zip(plain[1::2], letters, letters[1:], strict=False):
        found[letter] = found[before] + (relation == ">")
    return found


def read_tiger_bench(data: Path) -> Iterator[PreferencePair]:
    """See the module; the category is the subset (`2pair`, `3pair`, `4pair`)."""
    for path, number, content in _parquet_rows(data):
        row = _validated(TigerBenchRow, content, path, number)
        candidates = [row.candidate_1, row.candidate_2, row.candidate_3, row.candidate_4]
        letters = ["A", "B", "C", "D"]
        if row.comparison_type is not None:
            compared = _COMPARISON.fullmatch(row.comparison_type)
            if compared is None:
                raise RowError(path, number, "comparison_type", f"not like 'AvsB': {row.comparison_type!r}")
            letters = list(compared.groups())
        try:
            order = ranks(row.ranking)
        except ValueError as error:
            raise RowError(path, number, "ranking", str(error)) from error
        pictures = {
            letter: _picture(image, path, number, f"candidate_{place}")
            for place, (letter, image) in enumerate(zip(letters, candidates, strict=False), start=1)
            if image is not None
        }
        if set(order) != set(pictures):
            raise RowError(
                path, number, "ranking", f"{row.ranking!r} does not order the candidates {sorted(pictures)}"
            )
        source = _picture(row.source_image, path, number, "source_image")
        for one, other in combinations(sorted(pictures), 2):
            better, worse = (one, other) if order[one] <= order[other] else (other, one)
            yield PreferencePair(
                id=f"{row.id}-{one}{other}", source=source, instruction=row.instruction,
                preferred=pictures[better], non_preferred=pictures[worse],
                label="same" if order[one] == order[other] else "prefer",
                category=row.dataset or path.parent.name,
            )  # fmt: skip


def read_gold_folder(data: Path) -> Iterator[PreferencePair]:
    """See the module."""
    edits = {edit.id: edit for edit in read_rows(data / GOLD_EDITS, GoldEditRow)}
    path = data / "pairs.jsonl"
    for number, pair in numbered_rows(path, _GoldPair):
        edit = edits.get(pair.edit)
        if edit is None:
            raise RowError(path, number, "edit", f"edits.jsonl has no edit {pair.edit!r}")
        for field, place in (("preferred", pair.preferred), ("non_preferred", pair.non_preferred)):
            if place >= len(edit.candidates):
                raise RowError(
                    path, number, field, f"the edit has {len(edit.candidates)} candidates, not {place}"
                )
        yield PreferencePair(
            id=pair.id, source=edit.source, instruction=edit.instruction, principles=edit.principles,
            preferred=edit.candidates[pair.preferred].image,
            non_preferred=edit.candidates[pair.non_preferred].image,
            label=pair.label, category=edit.category,
        )  # fmt: skip


READERS: dict[str, Callable[[Path], Iterator[PreferencePair]]] = {
    "editreward-data": read_editreward_data,
    "editscore-bench": read_editscore_bench,
    "tiger-bench": read_tiger_bench,
    "gold-edits": read_gold_folder,
}


def with_pictures_at(
    pair: PreferencePair, images: Path, home: Path, keep: Callable[[bytes], str]
) -> PreferencePair:
    """The pair for a file in `home`: paths that started at `images` lead there, bytes are kept as files."""

    def moved(reference: str | bytes) -> str | bytes:
        return keep(reference) if isinstance(reference, bytes) else rebased(reference, images, home)

    return pair.model_copy(
        update={name: moved(getattr(pair, name)) for name in ("source", "preferred", "non_preferred")}
    )
