"""Small Parquet files in the layouts of the public benchmarks; images as `datasets` writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from shape_results import png

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def picture(shade: int, size: tuple[int, int] = (8, 8)) -> bytes:
    """A PNG of one grey; the mock service's rewards are read from the shade."""
    return png(Image.new("RGB", size, (shade, shade, shade)))


def struct(image: bytes | None) -> dict[str, Any] | None:
    return None if image is None else {"bytes": image, "path": "x.png"}


def write(path: Path, rows: Sequence[dict[str, Any]], **types: Any) -> Path:
    """The rows as Parquet; columns without a type are texts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, types.get(name, pa.string())) for name in rows[0]])
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
    return path


def editscore_row(first: int, second: int, **changes: Any) -> dict[str, Any]:
    return {
        "key": ["a", "b"],
        "instruction": "make it blue",
        "input_image": struct(picture(0)),
        "output_images": [struct(picture(first)), struct(picture(second))],
        "task_type": "color_alter",
        "dimension": "overall",
        **changes,
    }


def write_editscore(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    return write(path, rows, key=pa.list_(pa.string()), input_image=IMAGE, output_images=pa.list_(IMAGE))


def tiger_pair(first: int, second: int, ranking: str, kind: str = "AvsB", **changes: Any) -> dict[str, Any]:
    """A row of one pair."""
    return {
        "id": "7_x",
        "dataset": "2pair",
        "instruction": "make it blue",
        "source_image": struct(picture(0)),
        "candidate_1": struct(picture(first)),
        "candidate_2": struct(picture(second)),
        "ranking": ranking,
        "comparison_type": kind,
        **changes,
    }


def tiger_ranked(shades: Sequence[int], ranking: str) -> dict[str, Any]:
    """A row that ranks all its candidates."""
    images = [struct(picture(shade)) for shade in shades] + [None] * (4 - len(shades))
    return {
        "instruction": "make it blue",
        "source_image": struct(picture(0)),
        **{f"candidate_{n}": image for n, image in enumerate(images, start=1)},
        "ranking": ranking,
    }


def write_tiger(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    names = ["source_image", *(f"candidate_{n}" for n in range(1, 5))]
    return write(path, rows, **dict.fromkeys(names, IMAGE))


def genai_row(left: int, right: int, vote: str) -> dict[str, Any]:
    return {
        "instruct_prompt": "make it blue",
        "source_image": struct(picture(0)),
        "left_output_image": struct(picture(left)),
        "right_output_image": struct(picture(right)),
        "left_model": "a",
        "right_model": "b",
        "vote_type": vote,
    }


def write_genai(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    names = ["source_image", "left_output_image", "right_output_image"]
    return write(path, rows, **dict.fromkeys(names, IMAGE))
