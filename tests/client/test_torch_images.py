"""The same with torch's own tensors; everything else is shown with a stand-in."""

import io

import numpy as np
import torch
from PIL import Image

from edit_rrm_client._images import encode_image


def test_torch_tensors_of_every_kind_give_the_same_pixels() -> None:
    pixels = np.array([[[0, 255, 51]] * 4] * 2, np.uint8)  # [2, 4, 3]
    floats = torch.tensor(pixels.transpose(2, 0, 1) / 255, dtype=torch.float32)
    for tensor in (torch.tensor(pixels), floats, floats.half(), floats.bfloat16(), floats.requires_grad_()):
        encoded = encode_image(tensor, "source")
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encoded.data))), pixels)
