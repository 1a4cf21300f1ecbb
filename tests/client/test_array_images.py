"""Arrays and tensors as images: one layout a dtype, and a plain refusal of everything else."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from edit_rrm_client._images import encode_image
from edit_rrm_client.errors import InvalidImageError

SIDES = st.integers(1, 6).filter(lambda side: side != 3)
PIXELS = arrays.arrays(np.uint8, st.tuples(SIDES, SIDES, st.just(3)))
GREY = np.full((4, 5, 3), 0.5, np.float32)
RGB = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


class Tensor:
    """What the client uses of a torch tensor; on its device it has no numpy()."""

    def __init__(self, array: np.ndarray, trail: tuple[str, ...] = ()) -> None:
        self.array, self.trail, self.dtype, self.shape = array, trail, array.dtype, array.shape

    def detach(self) -> "Tensor":
        return Tensor(self.array, (*self.trail, "detach"))

    def cpu(self) -> "Tensor":
        return Tensor(self.array, (*self.trail, "cpu"))

    def numpy(self) -> np.ndarray:
        if self.trail != ("detach", "cpu"):
            raise RuntimeError(f"numpy() after {self.trail}")
        return self.array


def decoded(image: object) -> np.ndarray:
    encoded = encode_image(image, "source")  # type: ignore[arg-type]
    assert encoded.media_type == "image/png"
    return np.asarray(Image.open(io.BytesIO(encoded.data)))


@given(PIXELS)
def test_bytes_arrive_as_they_are_from_arrays_and_tensors(pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(decoded(pixels), pixels)
    np.testing.assert_array_equal(decoded(Tensor(pixels)), pixels)


@given(PIXELS, st.sampled_from([np.float16, np.float32, np.float64]), st.booleans())
def test_every_8_bit_pixel_survives_the_way_through_floats_in_either_layout(
    pixels: np.ndarray, dtype: type, channels_first: bool
) -> None:
    floats = (pixels / 255).astype(dtype)
    if channels_first:
        floats = floats.transpose(2, 0, 1)
    np.testing.assert_array_equal(decoded(floats), pixels)
    np.testing.assert_array_equal(decoded(Tensor(floats)), pixels)


def test_zero_is_black_one_is_white_and_between_is_rounded() -> None:
    floats = np.array([[[0.0, 1.0, 0.1]]], np.float32)  # 0.1 * 255 = 25.5, halves to the even one
    assert decoded(floats).tolist() == [[[0, 255, 26]]]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (RGB.astype(np.int64), "expected uint8 .* got dtype int64"),
        (RGB > 3, "got dtype bool"),
        (np.array(["a"]), "got dtype <U1"),
        (RGB.transpose(2, 0, 1), r"\(height, width, 3\), got \(3, 4, 5\); move the channels last"),
        (RGB[..., 0], r"got \(4, 5\); repeat a grey image's channel"),
        (RGB[None], r"got \(1, 4, 5, 3\); pass the images of a batch one by one"),
        (RGB[:0], r"got \(0, 5, 3\)"),
        (np.zeros((4, 5, 4), np.uint8), r"got \(4, 5, 4\); put a transparent image on a background"),
        (np.zeros((1, 4, 5), np.float32), r"or \(3, height, width\), got \(1, 4, 5\); repeat a grey"),
        (np.zeros((2, 3, 8, 8), np.float32), r"got \(2, 3, 8, 8\); pass the images of a batch"),
        (np.zeros((3, 7, 3), np.float32), r"got \(3, 7, 3\), which could be either"),
        (np.float32(0.5), r"got \(\)"),
        (
            GREY * 2 - 2,
            r"got -1 to -1, -1 at row 0, column 0, channel 0; if -1..1 is meant, pass \(x \+ 1\) / 2",
        ),
        (
            GREY * 400,
            "got 200 to 200, 200 at row 0, column 0, channel 0; if 0..255 is meant, round and cast",
        ),
        (GREY * 2.5, r"in 0..1, got 1.25 to 1.25, "),
        (GREY * np.nan, "in 0..1, got nan to nan"),
        (GREY * np.inf, "in 0..1, got inf to inf"),
        (Tensor(GREY - 1), "in 0..1, got -0.5 to -0.5"),
    ],
)
def test_what_could_be_meant_otherwise_is_refused_with_what_was_expected_and_what_came(
    image: object, words: str
) -> None:
    with pytest.raises(InvalidImageError, match=words) as refusal:
        encode_image(image, "candidates[3]")  # type: ignore[arg-type]
    assert refusal.value.detail.startswith("candidates[3]: ")


def test_a_tensor_that_cannot_leave_its_device_is_refused_by_its_own_words() -> None:
    class Meta(Tensor):
        def cpu(self) -> Tensor:
            raise NotImplementedError("Cannot copy out of meta tensor")

        def detach(self) -> Tensor:
            return self

    with pytest.raises(InvalidImageError, match="does not turn into an array: Cannot copy out of meta"):
        encode_image(Meta(RGB), "source")


def test_jpeg_is_sent_when_told_and_only_of_pixels_it_can_hold() -> None:
    encoded = encode_image(RGB, "source", "jpeg")
    assert encoded.media_type == "image/jpeg"
    assert Image.open(io.BytesIO(encoded.data)).format == "JPEG"
    with pytest.raises(InvalidImageError, match="PIL mode RGBA does not fit a JPEG"):
        encode_image(Image.new("RGBA", (4, 4)), "source", "jpeg")
