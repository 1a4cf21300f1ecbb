"""Pictures of the shapes world as an editor outside it draws them."""

from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter

from edit_rrm_shapes.world.render import SIZE, render
from edit_rrm_shapes.world.scene import Scene


def as_another_editor_draws(scene: Scene, seed: int) -> Image.Image:
    """Soft edges, colours a few levels off, uneven shading: no rendering of this world."""
    rng = np.random.default_rng(seed)
    picture = render(replace(scene, noise=0.0), 0).filter(ImageFilter.GaussianBlur(0.5))
    coarse = Image.fromarray(rng.normal(0, 3, (4, 4)).astype(np.float32))
    shading = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC))[..., None]
    pixels = np.asarray(picture) + rng.uniform(-4, 4, 3) + shading + rng.normal(0, 2, (SIZE, SIZE, 3))
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
