"""What the service and a front end of the engine say to each other over a pipe.

An image is sent once: both sides keep the same ones, since both do the same in the same order.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_server.engines.engine import SamplingSettings
from edit_rrm_server.engines.vllm.drawn import Drawn
from edit_rrm_server.engines.vllm.rendering import RenderedPrompt

KEPT_IMAGES = 64


@dataclass(frozen=True)
class SentImage:
    """An image by its digest, with its pixels unless the other side has them."""

    digest: str
    size: tuple[int, int]
    pixels: bytes | None


@dataclass(frozen=True)
class Ask:
    """A prompt to be run. `told`: the answer is to say what the prompt became."""

    job: int
    prompt: Prompt
    images: Mapping[ImageSlot, SentImage]
    sampling: SamplingSettings
    watched: tuple[str, ...]
    adapter: str
    group: str
    trace_headers: Mapping[str, str] | None
    told: bool


@dataclass(frozen=True)
class Cancel:
    """Nobody waits for that job any more."""

    job: int


@dataclass(frozen=True)
class Answer:
    """A job's end: what was drawn, or the error that ended it."""

    job: int
    drawn: Drawn | None
    rendered: RenderedPrompt | None
    error: "PackedError | None"


@dataclass(frozen=True)
class PackedError:
    """An exception without its constructor, which may want other arguments than it keeps."""

    kind: type[Exception]
    args: tuple[Any, ...]
    state: Mapping[str, Any]

    @classmethod
    def of(cls, error: Exception) -> "PackedError":
        """What is left of it elsewhere."""
        return cls(type(error), error.args, dict(error.__dict__))

    def unpacked(self) -> Exception:
        """The same again."""
        error = self.kind.__new__(self.kind)
        error.args = self.args
        error.__dict__.update(self.state)
        return error


class KeptImages:
    """Which images the other side has (`None` here), or the images themselves: the last `KEPT_IMAGES`."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Image.Image | None] = OrderedDict()

    def has(self, digest: str) -> bool:
        """Whether it is kept; then it is the last to go."""
        if digest not in self._kept:
            return False
        self._kept.move_to_end(digest)
        return True

    def add(self, digest: str, image: Image.Image | None = None) -> None:
        """Keeps it, and drops the one that was used longest ago where there are too many."""
        self._kept[digest] = image
        if len(self._kept) > KEPT_IMAGES:
            self._kept.popitem(last=False)

    def received(self, sent: SentImage) -> EditImage:
        """The image on the side that has the pixels."""
        if not self.has(sent.digest):
            assert sent.pixels is not None
            self.add(sent.digest, Image.frombytes("RGB", sent.size, sent.pixels))
        image = self._kept[sent.digest]
        assert image is not None
        return EditImage(image, sent.digest, full_size=image.size)
