"""What goes over the pipe to a front end: each image once, and errors as they were."""

import inspect
import random
from collections.abc import Iterator

import pytest
from PIL import Image

from edit_rrm.errors import CheckpointError, ImageError, TraceError
from edit_rrm_server import errors
from edit_rrm_server.engines.vllm.frames import KEPT_IMAGES, KeptImages, PackedError, SentImage
from edit_rrm_server.engines.watched_engine import engine_dead


def every_error() -> Iterator[Exception]:
    """One of each kind that an engine may raise, and of every kind of the service's."""
    yield from (
        CheckpointError("no"),
        ImageError("broken_image", "no"),
        TraceError("no", "text"),
        engine_dead(),
    )
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, errors.ServiceError):
            wanted = list(inspect.signature(kind).parameters)
            yield kind(*({"retry_after_s": 2.5}.get(name, name) for name in wanted))


@pytest.mark.parametrize("error", list(every_error()), ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_on_the_other_side(error: Exception) -> None:
    again = PackedError.of(error).unpacked()
    assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)
    assert getattr(again, "code", None) == getattr(error, "code", None)


def test_both_sides_keep_the_same_images_whatever_is_sent() -> None:
    dice = random.Random(0)
    here, there = KeptImages(), KeptImages()
    sent = 0
    for _ in range(2000):
        number = int(dice.triangular(0, 3 * KEPT_IMAGES, 0))
        digest, pixels = str(number), None
        if not here.has(digest):
            here.add(digest)
            pixels = bytes([number % 256] * 12)
            sent += 1
        received = there.received(SentImage(digest, (2, 2), pixels))
        assert (received.digest, received.image.getpixel((0, 0))) == (digest, (number % 256,) * 3)
    assert 3 * KEPT_IMAGES > sent / 10 > KEPT_IMAGES / 10  # some came again, some were forgotten
    assert list(here._kept) == list(there._kept)
    assert len(there._kept) == KEPT_IMAGES


def test_an_image_that_was_kept_is_the_very_one() -> None:
    kept = KeptImages()
    picture = Image.new("RGB", (2, 2), (1, 2, 3))
    first = kept.received(SentImage("a", (2, 2), picture.tobytes()))
    assert kept.received(SentImage("a", (2, 2), None)).image is first.image
