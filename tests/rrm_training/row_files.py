"""One set of SFT rows with pictures, written in every way in which SFT reads rows."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, Features, Image, Value
from PIL import Image as Pictures

from edit_rrm.images import encode_png

PRINCIPLES = [
    {"id": "p1", "category": "follow", "question": "Is it blue?"},
    {"id": "p2", "category": "keep", "question": "Is the rest as it was?"},
    {"id": "p3", "category": "quality", "question": "Is it clean?"},
]
TRACE = "1. it is => 1\n2. it is => 1\n3. a smear => 0\naverage 0.67\n<score>6.5</score>"
LIST = "1. follow: Is it blue?\n2. keep: Is the rest as it was?\n3. quality: Is it clean?"


def picture(shade: int) -> bytes:
    """A PNG of one colour."""
    return encode_png(Pictures.new("RGB", (28, 28), (shade, 0, 0)))


def verify(number: int, **changes: Any) -> dict[str, Any]:
    """A verification, of the pictures `NUMBER.png` and `candidate.png`."""
    return {
        "id": f"v{number}", "task": "verify", "instruction": f"make {number} blue", "source": f"{number}.png",
        "candidate": "candidate.png", "principles": PRINCIPLES, "completion": TRACE, **changes,
    }  # fmt: skip


def decompose(number: int, **changes: Any) -> dict[str, Any]:
    """A decomposition of the same edit."""
    return {
        "id": f"d{number}", "task": "decompose", "instruction": f"make {number} blue",
        "source": f"{number}.png", "completion": LIST, **changes,
    }  # fmt: skip


def write_pictures(folder: Path, count: int) -> None:
    """`0.png` and so on, each of its number's shade, and `candidate.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number}.png").write_bytes(picture(number))
    (folder / "candidate.png").write_bytes(picture(200))


def jsonl(path: Path, *rows: object) -> Path:
    """A line a row; a text stands as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def parquet(path: Path, *rows: dict[str, Any]) -> Path:
    """Pictures as paths."""
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def tar(path: Path, *rows: dict[str, Any]) -> Path:
    """As WebDataset has it, pictures inside."""
    with tarfile.open(path, "w") as archive:
        for number, row in enumerate(rows):
            fields = {name: value for name, value in row.items() if name not in ("source", "candidate")}
            members = {"json": json.dumps(fields).encode(), "source.png": picture(number)}
            if "candidate" in row:
                members["candidate.png"] = picture(200)
            for suffix, content in members.items():
                member = tarfile.TarInfo(f"some/{number:05}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


def saved_dataset(folder: Path, *rows: dict[str, Any]) -> Path:
    """What `save_to_disk` writes of rows with embedded images."""
    principle = {name: Value("string") for name in ("id", "category", "question")}
    texts = dict.fromkeys(("id", "task", "instruction", "completion"), Value("string"))
    features = Features({**texts, "principles": [principle], "source": Image(), "candidate": Image()})
    inside = [
        {
            **dict.fromkeys(("principles", "candidate")), **row,
            "source": {"bytes": picture(number), "path": None},
            **({"candidate": {"bytes": picture(200), "path": None}} if "candidate" in row else {}),
        }
        for number, row in enumerate(rows)
    ]  # fmt: skip
    Dataset.from_list(inside, features=features).save_to_disk(str(folder))
    return folder
