"""What the service and a front end of the engine say to each other over a pipe.

An image is sent once: both sides keep the same ones, since both do the same in the same order.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from PIL import Image

from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_server.engines.engine import SamplingSettings
from edit_rrm_server.engines.steps import StepReport
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
class Job:
    """A prompt to be run, but for its images. `told`: the answer is to say what the prompt became."""

    prompt: Prompt
    sampling: SamplingSettings
    watched: tuple[str, ...]
    adapter: str
    group: str
    trace_headers: Mapping[str, str] | None
    told: bool


@dataclass(frozen=True)
class Ask:
    """A job under its number."""

    number: int
    job: Job
    images: Mapping[ImageSlot, SentImage]


@dataclass(frozen=True)
class Cancel:
    """Nobody waits for the job of that number any more."""

    number: int


@dataclass(frozen=True)
class Answer:
    """A job's end: what was drawn, or the error that ended it."""

    number: int
    drawn: Drawn | None
    rendered: RenderedPrompt | None
    error: "PackedError | None"


@dataclass(frozen=True)
class Beat:
    """A front end that has jobs says every second what it knows of the engine's steps."""

    steps: StepReport


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

    def news(self, images: Iterable[EditImage]) -> set[str]:
        """The digests of those that the other side does not have yet; it has them from now on."""
        return {image.digest for image in images if self._take(image.digest, lambda: None)}

    def received(self, sent: SentImage) -> EditImage:
        """The image on the side that has the pixels."""
        self._take(sent.digest, lambda: Image.frombytes("RGB", sent.size, sent.pixels or b""))
        image = self._kept[sent.digest]
        assert image is not None
        return EditImage(image, sent.digest, sent.size)

    def _take(self, digest: str, make: Callable[[], Image.Image | None]) -> bool:
        """Keeps it as the last to go, and says whether it is new. Both sides do just this for every image."""
        new = digest not in self._kept
        if new:
            self._kept[digest] = make()
        self._kept.move_to_end(digest)
        if len(self._kept) > KEPT_IMAGES:
            self._kept.popitem(last=False)
        return new


def with_pixels(images: Mapping[ImageSlot, EditImage], news: Set[str]) -> dict[ImageSlot, SentImage]:
    """The images as they are sent: those that are news with their pixels, each once."""
    sent: dict[ImageSlot, SentImage] = {}
    left = set(news)
    for slot, image in images.items():
        pixels = image.image.tobytes() if image.digest in left else None
        left.discard(image.digest)
        sent[slot] = SentImage(image.digest, image.image.size, pixels)
    return sent
