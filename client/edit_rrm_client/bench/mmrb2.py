"""Multimodal RewardBench 2, its image editing task (Meta FAIR, arXiv 2512.16899): two edits and a choice.

Verified in facebookresearch/MMRB2 at its README, Data Format, and build_from_hf.py: `edit.json` holds
`pairs`; contents are lists of ["text" or "image", value], images as paths beside the file. A prompt may show
several images: they are the sources, in order.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edit_rrm_client.bench.comparisons import Comparison, Label, Vote, edit_digest
from edit_rrm_client.bench.layout import LayoutRow, json_rows

FILE = "edit.json"
_CHOSEN: dict[str, Vote] = {"A": 1, "B": -1}


def read_comparisons(path: Path) -> Iterator[Comparison]:
    """The pairs of `edit.json`, or of the one in a folder. Raises InputError."""
    for row in json_rows(path / FILE if path.is_dir() else path, "pairs"):
        texts, shown = _content(row, "prompt_content", row.values.get("prompt_content"))
        if not texts or not shown:
            raise row.wrong("prompt_content", "expected a text and an image")
        left, right = (_edited(row, name) for name in ("response_a", "response_b"))
        vote = _CHOSEN.get(str(row.values.get("chosen")))
        if vote is None:
            raise row.wrong("chosen", f"expected A or B, got {row.values.get('chosen')!r}")
        instruction, (source, *more) = "\n".join(texts), shown
        group = edit_digest(instruction, *shown)
        task = str(row.values.get("prompt_source") or "")
        label = Label(row=row.name, group=group, k=2, task=task, dimension="overall", vote=vote)
        yield Comparison(label, instruction, source, left, right, tuple(more))


def _edited(row: LayoutRow, name: str) -> bytes:
    """A response's image; of several the last, which is what the response ends with."""
    response = row.values.get(name)
    content = response.get("response_content") if isinstance(response, dict) else None
    _, shown = _content(row, name, content)
    if not shown:
        raise row.wrong(name, "expected an image in response_content")
    return shown[-1]


def _content(row: LayoutRow, name: str, content: Any) -> tuple[list[str], list[bytes]]:
    texts: list[str] = []
    shown: list[bytes] = []
    for part in content if isinstance(content, list) else ():
        kind, value = part if isinstance(part, list | tuple) and len(part) == 2 else (None, None)
        if kind == "image":
            shown.append(row.image_at(name, value))
        elif kind == "text" and isinstance(value, str):
            texts.append(value)
        else:
            raise row.wrong(name, 'expected parts of ["text" or "image", value]')
    return texts, shown
