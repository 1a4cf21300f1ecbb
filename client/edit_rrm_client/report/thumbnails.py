"""Small WebP copies of the images of a results file, each picture once, within a budget of bytes.

Images are untrusted: they are decoded by `edit_rrm.images` and written anew, so nothing of a file but
its pixels reaches the page.
"""

import base64
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from edit_rrm.errors import ImageError
from edit_rrm.guards import EditGuards
from edit_rrm.image_scale import ImageScale
from edit_rrm.images import ImageLimits, decode_image
from edit_rrm_client.bulk.rows import image_path


@dataclass(frozen=True)
class ThumbnailSettings:
    """How large and how good; `max_bytes` bounds what all of them add to the page, None for no images."""

    side: int
    """Longest side in pixels; smaller images are not enlarged."""
    quality: int
    """WebP quality, 1 to 100."""
    max_bytes: int | None


@dataclass(frozen=True)
class Thumbnail:
    """The place of an image among the thumbnails, or why there is none, in words for the page."""

    index: int = -1
    note: str | None = None


class Thumbnails:
    """Collects thumbnails as base64 text. An image that was met before costs nothing again."""

    def __init__(self, settings: ThumbnailSettings, results: Path) -> None:
        self.texts: list[str] = []
        self.total_bytes = 0
        self.overlays = 0
        """Of the texts, those that only show what changed."""
        self.left_out = 0
        """Different images that the budget had no room for."""
        self._settings = settings
        self._results = results
        self._limits = ImageLimits(scale=ImageScale(settings.side))
        self._by_path: dict[str, Thumbnail] = {}
        self._by_digest: dict[bytes, Thumbnail] = {}
        self._changes: dict[tuple[int, int], Thumbnail] = {}

    def add(self, path: str | None, data: bytes | None) -> Thumbnail:
        """The thumbnail of an image that a row holds as bytes or names by its path."""
        if self._settings.max_bytes is None:
            return Thumbnail(note="left out (--no-images)")
        if data is not None:
            return self._of_bytes(data)
        if path is None:
            return Thumbnail(note="not in the results file")
        if path not in self._by_path:
            try:
                self._by_path[path] = self._of_bytes(image_path(path, self._results).read_bytes())
            except (OSError, ValueError):  # ValueError: a null byte in the path
                self._by_path[path] = Thumbnail(note="the file cannot be read")
        return self._by_path[path]

    def change(self, source: Thumbnail, edited: Thumbnail) -> Thumbnail:
        """What changed between two thumbnails, as an overlay for the second; none where one is missing."""
        if source.index < 0 or edited.index < 0:
            return Thumbnail()
        pair = (source.index, edited.index)
        if pair not in self._changes:
            before, after = (decode_image(base64.b64decode(self.texts[index])) for index in pair)
            overlay = EditGuards(before).change_map(after).overlay(after.image.size)
            self._changes[pair] = kept = self._kept(_webp(overlay, self._settings.quality))
            self.overlays += kept.index >= 0
        return self._changes[pair]

    def _of_bytes(self, data: bytes) -> Thumbnail:
        digest = hashlib.sha256(data).digest()
        if digest not in self._by_digest:
            self._by_digest[digest] = self._made(data)
        return self._by_digest[digest]

    def _made(self, data: bytes) -> Thumbnail:
        if self.left_out:  # the budget is spent: do not decode what will not be shown
            return self._beyond_budget()
        try:
            text = _webp(decode_image(data, self._limits).image, self._settings.quality)
        except ImageError as error:
            return Thumbnail(note=error.code)
        return self._kept(text)

    def _kept(self, text: str) -> Thumbnail:
        assert self._settings.max_bytes is not None
        if self.total_bytes + len(text) > self._settings.max_bytes:
            return self._beyond_budget()
        self.total_bytes += len(text)
        self.texts.append(text)
        return Thumbnail(len(self.texts) - 1)

    def _beyond_budget(self) -> Thumbnail:
        self.left_out += 1
        return Thumbnail(note="left out: the page's image budget was spent")


def _webp(image: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=2)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
