"""Sizes of edited pictures, from their headers alone."""

from pathlib import Path

from PIL import Image

from edit_rrm_client.bulk.rows import ResultRow, image_path

_ENOUGH = 2000
"""Pictures that are looked at: an editor gives one size or a few."""


class SizesOf:
    """Looks at the first pictures that the rows of a results file name by their paths."""

    def __init__(self, results: Path) -> None:
        self._results = results
        self._left = _ENOUGH

    def __call__(self, row: ResultRow) -> tuple[int, int] | None:
        """Width and height as they lie in the file; None for a picture that is not looked at."""
        if row.edited is None or self._left <= 0:
            return None
        self._left -= 1
        try:
            with Image.open(image_path(row.edited, self._results)) as picture:
                return picture.size
        except (OSError, ValueError, Image.DecompressionBombError):
            return None
