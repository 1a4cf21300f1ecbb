"""Every editor family that has a policy: its tiny pipeline, and how that is asked for the same edit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from diffusers import (
    Flux2KleinPipeline,
    FluxKontextPipeline,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
)
from PIL import Image

from edit_grpo.policies.diffusers_policy import DiffusersPolicy
from edit_grpo.policies.flux2_klein import Flux2KleinPolicy
from edit_grpo.policies.flux_kontext import FluxKontextPolicy
from edit_grpo.policies.loading import load_policy
from edit_grpo.policies.qwen_image_edit import QwenImageEditPolicy
from edit_grpo.policies.qwen_image_edit_plus import QwenImageEditPlusPolicy
from edit_grpo.policies.settings import PolicySettings
from tiny_pipelines import klein_folder, kontext_folder, pictures, qwen_folder, qwen_plus_folder

AREA = 64 * 64
"""Of Qwen's tiny editors, in place of 1024×1024; `small_areas` says so to the pipelines themselves."""


@dataclass(frozen=True)
class Family:
    """An editor family. `sizes` are those of an edit's sources, all kept as they are by the policy."""

    name: str
    save: Callable[[Path], Path]
    pipeline: Any
    policy: type[DiffusersPolicy]
    sizes: tuple[tuple[int, int], ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the pipeline's call, for the same guidance."""

    def load(self, folder: Path, *, keep_reference: bool = True, **settings: Any) -> Any:
        """Its policy, in float32 unless said otherwise."""
        given = {
            "name": str(folder), "dtype": "float32", "gradient_checkpointing": False,
            **self.settings, **settings,
        }  # fmt: skip
        policy = load_policy(PolicySettings.model_validate(given), keep_reference=keep_reference)
        assert type(policy) is self.policy
        return policy

    def sources(self) -> list[Image.Image]:
        """Those of one edit."""
        return pictures(*self.sizes)

    def stock_options(self, sources: list[Image.Image], **more: Any) -> dict[str, Any]:
        """What the pipeline's call is given besides the prompt."""
        single = self.policy.max_sources == 1
        return {"image": sources[0] if single else sources, **self.options, **more}


KONTEXT = Family(
    "kontext", kontext_folder, FluxKontextPipeline, FluxKontextPolicy, ((24, 12),),
    {"guidance_scale": 3.0},
    {"width": 24, "height": 12, "max_area": 288, "guidance_scale": 3.0, "max_sequence_length": 26,
     "_auto_resize": False},
)  # fmt: skip
QWEN_OPTIONS = {"true_cfg_scale": 3.0, "negative_prompt": " "}
QWEN = Family(
    "qwen-image-edit", qwen_folder, QwenImageEditPipeline, QwenImageEditPolicy, ((96, 32),),
    {"area_pixels": AREA, "true_cfg_scale": 3.0}, QWEN_OPTIONS,
)  # fmt: skip
QWEN_PLUS = Family(
    "qwen-image-edit-2509", qwen_plus_folder, QwenImageEditPlusPipeline, QwenImageEditPlusPolicy,
    ((64, 64), (96, 32)), {"area_pixels": AREA, "true_cfg_scale": 3.0}, QWEN_OPTIONS,
)  # fmt: skip
QWEN_2511 = replace(QWEN_PLUS, name="qwen-image-edit-2511", save=partial(qwen_plus_folder, zero_cond_t=True))
KLEIN = Family(
    "flux2-klein", klein_folder, Flux2KleinPipeline, Flux2KleinPolicy, ((96, 64), (64, 80)),
    {"true_cfg_scale": 3.0}, {"guidance_scale": 3.0},
)  # fmt: skip
FAMILIES = (KONTEXT, QWEN, QWEN_PLUS, QWEN_2511, KLEIN)


def small_areas(monkeypatch: Any) -> None:
    """Has Qwen's own calls bring sources to AREA, which their code has as a number."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit as edit
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as plus

    single, several, megapixel = edit.calculate_dimensions, plus.calculate_dimensions, 1024 * 1024
    shrunk: Callable[[int], int] = lambda area: AREA if area == megapixel else area  # noqa: E731
    monkeypatch.setattr(edit, "calculate_dimensions", lambda area, ratio: single(shrunk(area), ratio))
    monkeypatch.setattr(plus, "calculate_dimensions", lambda area, ratio: several(shrunk(area), ratio))
