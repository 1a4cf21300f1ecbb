"""Editors that are diffusers pipelines, by name. Nothing is loaded before the first edit."""

import gc
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from edit_rrm.quiet_libraries import bars_are_hidden
from edit_rrm_training.errors import EditorError
from edit_rrm_training.pipeline.editors import Edited
from edit_rrm_training.pipeline.rows import DecomposedEdit


@dataclass(frozen=True)
class Recipe:
    """A pipeline's class in diffusers, its published weights, and how it is called."""

    pipeline: str
    weights: str
    arguments: Mapping[str, Any]


# Without a negative prompt there is no classifier-free guidance.
_QWEN = {"true_cfg_scale": 4.0, "negative_prompt": " ", "num_inference_steps": 50}

RECIPES: dict[str, Recipe] = {
    "flux-kontext": Recipe(
        "FluxKontextPipeline",
        "black-forest-labs/FLUX.1-Kontext-dev",
        {"guidance_scale": 2.5, "num_inference_steps": 28},
    ),
    "qwen-image-edit": Recipe(
        "QwenImageEditPipeline",
        "Qwen/Qwen-Image-Edit",
        _QWEN,
    ),
    "qwen-image-edit-2509": Recipe("QwenImageEditPlusPipeline", "Qwen/Qwen-Image-Edit-2509", _QWEN),
    "qwen-image-edit-2511": Recipe("QwenImageEditPlusPipeline", "Qwen/Qwen-Image-Edit-2511", _QWEN),
    "flux2-klein": Recipe(  # distilled: without guidance, in four steps
        "Flux2KleinPipeline",
        "black-forest-labs/FLUX.2-klein-4B",
        {"guidance_scale": 1.0, "num_inference_steps": 4},
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
    if bars_are_hidden():
        diffusers.utils.logging.disable_progress_bar()
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
        return self.edit_batch(edit, (number,), source, (seed,))[0]

    def edit_batch(
        self,
        edit: DecomposedEdit,
        numbers: Sequence[int],
        source: Callable[[], Image.Image],
        seeds: Sequence[int],
    ) -> list[Edited]:
        """See `BatchEditor`. The noise of each is of its own seed, whatever it is made together with."""
        if self._pipeline is None:
            self._pipeline = self._load(self._recipe, self._weights)
        torch = importlib.import_module("torch")
        image = source()
        answer = self._pipeline(
            image=image,
            prompt=edit.instruction,
            num_images_per_prompt=len(numbers),
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            **self._recipe.arguments,
        )
        if len(answer.images) != len(numbers):
            raise EditorError(f"{self.name} made {len(answer.images)} pictures of the {len(numbers)} wanted")
        return [
            Edited(edited.resize(image.size) if edited.size != image.size else edited, self.name)
            for edited in answer.images
        ]

    def close(self) -> None:
        """Lets go of the pipeline, and of the GPU memory it had."""
        if self._pipeline is not None:
            self._pipeline = None
            gc.collect()  # its parts refer to one another
            importlib.import_module("torch").cuda.empty_cache()
