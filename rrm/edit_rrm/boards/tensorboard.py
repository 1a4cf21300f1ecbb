"""TensorBoard as a board."""

import html
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from PIL import Image

from edit_rrm.boards.board import Table


class Writer(Protocol):
    """torch's SummaryWriter, of which this much is used."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object: ...

    def add_image(self, tag: str, img_tensor: Any, global_step: int, *, dataformats: str) -> object: ...

    def add_text(self, tag: str, text_string: str, global_step: int) -> object: ...

    def flush(self) -> object: ...

    def close(self) -> object: ...


class TensorBoard:
    """Writes by `writer`; one that goes on with a run purges the steps that will be made once more itself."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """See `Board`; shown at once."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def picture(self, step: int, name: str, image: Image.Image) -> None:
        """See `Board`."""
        self._writer.add_image(name, np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def table(self, step: int, name: str, table: Table) -> None:
        """See `Board`; TensorBoard has texts alone, and reads them as Markdown."""
        self._writer.add_text(name, markdown(table), step)

    def close(self, *, failed: bool = False) -> None:
        """See `Board`."""
        self._writer.close()


def markdown(table: Table) -> str:
    """The table in Markdown. Cells are shown as they were written, line for line."""
    lines = [
        table.columns,
        ("---",) * len(table.columns),
        *([_cell(each) for each in row] for row in table.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return f"{value:g}"
    letters = (f"&#{ord(letter)};" if letter in "|*_`[]\\~#" else letter for letter in html.escape(value))
    return "<br>".join("".join(letters).splitlines())
