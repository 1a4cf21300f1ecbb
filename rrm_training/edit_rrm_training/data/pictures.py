"""How a row refers to a picture, and the one function that turns a reference into the picture.

A reference is a path (relative to the file that holds it), a part of an archive (tar_shards.py), the bytes of
an image file, those bytes as a `data:` URL (the form bytes take in JSON), or `SCHEME:…` where an installed
package registers the scheme (entry point group `edit_rrm.pictures`: a function from the whole reference to a
picture). `{"bytes", "path"}`, as Hugging Face's datasets keep images, is one of the first three.
"""

import base64
import os
import re
from pathlib import Path
from typing import Annotated, TypeVar

from PIL import Image
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from edit_rrm import plugins
from edit_rrm.errors import EditRRMError, ImageError, PluginError
from edit_rrm.images import decode_image
from edit_rrm_training.data.tar_shards import part_of, read_part
from edit_rrm_training.errors import RowError

R = TypeVar("R", str, str | bytes)
_GROUP: plugins.Group = "edit_rrm.pictures"
# A letter alone is a drive.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):")
_DATA_URL = re.compile(r"data:image/[a-z]+;base64,")


def _as_text(reference: str | bytes) -> str:
    return reference if isinstance(reference, str) else data_url(reference)


def _without_nul(reference: R) -> R:
    if isinstance(reference, str) and "\0" in reference:
        raise ValueError("a path holds no NUL")
    return reference


def _from_hub_image(given: object) -> object:
    if isinstance(given, dict) and given.keys() == {"bytes", "path"}:
        return given["path"] if given["bytes"] is None else given["bytes"]
    return given


PicturePath = Annotated[str, Field(min_length=1), AfterValidator(_without_nul)]
PictureRef = Annotated[
    str | bytes,
    BeforeValidator(_from_hub_image),
    AfterValidator(_without_nul),
    PlainSerializer(_as_text, when_used="json"),
]


def _scheme(reference: str) -> str | None:
    """The registered scheme that a reference begins with; a path may hold a colon, too."""
    scheme, colon, _ = reference.partition(":")
    return scheme if colon and scheme in plugins.names(_GROUP) else None


def _strange_scheme(reference: str, base_dir: Path) -> str | None:
    """What a reference begins with that is no path: `shapes:…` where nothing that is installed draws it."""
    found = _SCHEME.match(reference)
    return None if found is None or (base_dir / reference).exists() else found[1]


def rebased(reference: str | bytes, old_base: Path, new_base: Path) -> str | bytes:
    """The same reference for a file in another directory: only relative paths change."""
    if isinstance(reference, bytes) or _scheme(reference) or _DATA_URL.match(reference):
        return reference
    if Path(reference).is_absolute() or _strange_scheme(reference, old_base):
        return reference
    return os.path.relpath(old_base.resolve() / reference, new_base.resolve())


def placed(reference: str, base_dir: Path) -> str:
    """The reference as it is the same from everywhere: a path is absolute."""
    if _scheme(reference) or _DATA_URL.match(reference):
        return reference
    return os.path.abspath(base_dir / reference)


def data_url(image_file: bytes) -> str:
    """The bytes of an image file as text. The media type says PNG: readers go by the bytes."""
    return "data:image/png;base64," + base64.b64encode(image_file).decode()


def load_image(reference: str | bytes, base_dir: Path) -> Image.Image:
    """The upright RGB picture a reference means; relative paths start at `base_dir`.

    Raises ImageError for bytes that are no image, OSError for a file that cannot be read, PluginError for a
    scheme that nothing draws.
    """
    if isinstance(reference, str) and (scheme := _scheme(reference)) is not None:
        drawn: Image.Image = plugins.load(_GROUP, scheme)(reference)
        return drawn
    return decode_image(image_file(reference, base_dir)).image


def image_file(reference: str | bytes, base_dir: Path) -> bytes:
    """The bytes of the image file that a reference means, undecoded. Raises as `load_image`."""
    if isinstance(reference, bytes):
        return reference
    url = _DATA_URL.match(reference)
    return _decoded(reference[url.end() :]) if url else _read(reference, base_dir)


def check_reference(reference: str | bytes, base_dir: Path) -> None:
    """Whether there is something at the place that a reference means, without reading it. Raises OSError,
    PluginError for a scheme that nothing draws."""
    if is_embedded(reference) or _scheme(str(reference)):
        return
    path = str(reference)
    part = part_of(path)
    if not (base_dir / (path if part is None else part[0])).is_file():
        _read(path, base_dir)


def is_embedded(reference: str | bytes) -> bool:
    """Whether the picture itself stands in the row."""
    return isinstance(reference, bytes) or _DATA_URL.match(reference) is not None


def load_picture_of_row(reference: str | bytes, file: Path, row: int, field: str, what: str) -> Image.Image:
    """`load_image` for a row of `file`. Raises RowError, which names `what` the picture is of."""
    try:
        return load_image(reference, file.parent)
    except (EditRRMError, OSError, ValueError) as error:
        named = f" {reference[:80]!r}" if isinstance(reference, str) else ""
        raise RowError(file, row, field, f"the picture{named} of {what}: {error}") from error


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError as error:
        raise ImageError("broken_image", f"a data: URL that is no base64: {error}") from error


def _read(reference: str, base_dir: Path) -> bytes:
    scheme = _strange_scheme(reference, base_dir)
    if scheme is None:
        if (part := part_of(reference)) is not None:
            return read_part(base_dir / part[0], *part[1:])
        return (base_dir / reference).read_bytes()
    known = ", ".join(plugins.names(_GROUP)) or "none"
    raise PluginError(
        f"no installed package draws {scheme}: pictures (there are: {known}; edit-rrm-shapes brings shapes), "
        "and there is no such file"
    )
