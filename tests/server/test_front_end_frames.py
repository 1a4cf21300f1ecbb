"""What goes over the pipe to a front end: each image once, and errors as they were."""

import inspect
import random
from collections.abc import Iterator

import pytest
from PIL import Image

from edit_rrm.errors import CheckpointError, ImageError, TraceError
from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot
from edit_rrm_server import errors
from edit_rrm_server.engines.vllm.frames import (
    KEPT_IMAGES,
    KeptImages,
    PackedError,
    SentImage,
    with_pixels,
)
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


def image(number: int) -> EditImage:
    return EditImage(Image.new("RGB", (2, 2), (number % 256, 0, 0)), str(number), (2, 2))


def shown(received: EditImage) -> tuple[str, object]:
    return received.digest, received.image.getpixel((0, 0))


class Sides:
    """Both ends of a pipe."""

    def __init__(self) -> None:
        self.here, self.there = KeptImages(), KeptImages()

    def send(self, *numbers: int) -> int:
        """Sends a prompt's images; how many had their pixels with them."""
        images = dict(zip((ImageSlot.SOURCE, ImageSlot.CANDIDATE), map(image, numbers), strict=False))
        sent = with_pixels(images, self.here.news(images.values()))
        received = [shown(self.there.received(one)) for one in sent.values()]
        assert received == [shown(one) for one in images.values()]
        assert list(self.here._kept) == list(self.there._kept)
        return sum(one.pixels is not None for one in sent.values())


def test_both_sides_keep_the_same_images_whatever_is_sent() -> None:
    dice, sides, sent = random.Random(0), Sides(), 0
    for _ in range(2000):
        sent += sides.send(*(int(dice.triangular(0, 3 * KEPT_IMAGES, 0)) for _ in range(dice.choice((1, 2)))))
    assert 300 < sent < 2500  # some came again, some were forgotten
    assert len(sides.there._kept) == KEPT_IMAGES


def test_a_new_image_does_not_push_out_the_old_one_that_comes_with_it() -> None:
    sides = Sides()
    for number in range(KEPT_IMAGES):
        assert sides.send(number) == 1
    assert sides.send(1000, 0) == 2  # the oldest went for the new one, on both sides: it is sent again
    assert sides.send(1001, 1000) == 1


def test_one_image_in_two_slots_is_sent_once() -> None:
    assert Sides().send(5, 5) == 1


def test_an_image_that_was_kept_is_the_very_one() -> None:
    kept = KeptImages()
    first = kept.received(SentImage("a", (2, 2), image(1).image.tobytes()))
    assert kept.received(SentImage("a", (2, 2), None)).image is first.image
