"""Editors that are diffusers pipelines, by name. Nothing is loaded before the first edit."""

import gc
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from edit_rrm_training.errors import EditorError
from edit_rrm_training.pipeline.editors import Edited
from edit_rrm_training.pipeline.rows import DecomposedEdit


@dataclass(frozen=True)
class Recipe:
    """A pipeline's class in diffusers, its published weights, and how it is called."""

    pipeline: str
    weights: str
    arguments: Mapping[str, Any]


RECIPES: dict[str, Recipe] = {
    "flux-kontext": Recipe(
        "FluxKontextPipeline",
        "black-forest-labs/FLUX.1-Kontext-dev",
        {"guidance_scale": 2.5, "num_inference_steps": 28},
    ),
    "qwen-image-edit": Recipe(
        "QwenImageEditPipeline",
        "Qwen/Qwen-Image-Edit",
        # Without a negative prompt there is no classifier-free guidance.
        {"true_cfg_scale": 4.0, "negative_prompt": " ", "num_inference_steps": 50},
    ),
}


def load_pipeline(recipe: Recipe, weights: str) -> Any:
    """The pipeline in bfloat16 on the GPU, in float32 on a CPU. Raises EditorError without diffusers."""
    try:
        diffusers = importlib.import_module("diffusers")
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise EditorError(
            f"diffusers is not installed: pip install 'edit-rrm[edit-training]' ({error})"
        ) from error
    on_gpu = torch.cuda.is_available()
    pipeline = getattr(diffusers, recipe.pipeline).from_pretrained(
        weights, torch_dtype=torch.bfloat16 if on_gpu else torch.float32
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to("cuda" if on_gpu else "cpu")


class DiffusersEditor:
    """Satisfies `Editor`. A candidate is brought back to the source's size, which a pipeline may change."""

    def __init__(
        self, name: str, weights: str | None = None, load: Callable[[Recipe, str], Any] = load_pipeline
    ) -> None:
        self.name = name
        self._recipe = RECIPES[name]
        self._weights = weights or self._recipe.weights
        self._load = load
        self._pipeline: Any = None

    def edit(self, edit: DecomposedEdit, number: int, source: Callable[[], Image.Image], seed: int) -> Edited:
        """See `Editor`."""
        if self._pipeline is None:
            self._pipeline = self._load(self._recipe, self._weights)
        torch = importlib.import_module("torch")
        image = source()
        generator = torch.Generator("cpu").manual_seed(seed)
        answer = self._pipeline(
            image=image, prompt=edit.instruction, generator=generator, **self._recipe.arguments
        )
        edited: Image.Image = answer.images[0]
        return Edited(edited.resize(image.size) if edited.size != image.size else edited, self.name)

    def close(self) -> None:
        """Lets go of the pipeline, and of the GPU memory it had."""
        if self._pipeline is not None:
            self._pipeline = None
            gc.collect()  # its parts refer to one another
            importlib.import_module("torch").cuda.empty_cache()
