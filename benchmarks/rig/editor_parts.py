"""Updates of GRPO of editors with drawn weights, by the product's own trainer, counted by part."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import torch
from PIL import Image

from edit_grpo.policies.flux_kontext import FluxKontextPolicy
from edit_grpo.policies.policy import EditPolicy
from edit_grpo.policies.qwen_image_edit import QwenImageEditPolicy
from edit_grpo.run.settings import TrainSettings
from edit_grpo.run.settings_file import load_settings
from edit_grpo.run.trainer import EditTrainer
from edit_grpo.run.training_run import Parts, run_training
from edit_rrm_client import AsyncRewardClient, MockRewardServer
from rig.drawn_models import INSTRUCTION, layers_that_fit, parameters, pipeline_of, with_fewer_layers
from rig.measured import Measured, Scale
from rig.phases import Phases
from rig.published import KONTEXT, QWEN_IMAGE, TINY_KONTEXT, TINY_QWEN_IMAGE, EditorSizes

CONFIGS = Path(__file__).parents[2] / "edit_training" / "configs"
WORK_BYTES = 15e9
"""Room that is left for adapters, their optimiser and activations when layers are counted."""


def kontext(scale: Scale, folder: Path) -> Measured:
    """Updates of GRPO from edit_training/configs/flux_kontext_recommended.yaml, of one group."""
    file = CONFIGS / "flux_kontext_recommended.yaml"
    return _editor(TINY_KONTEXT if scale.tiny else KONTEXT, FluxKontextPolicy, file, 6, scale, folder)


def qwen_image_edit(scale: Scale, folder: Path) -> Measured:
    """Updates of GRPO from edit_training/configs/qwen_image_edit_recommended.yaml, likewise."""
    file = CONFIGS / "qwen_image_edit_recommended.yaml"
    return _editor(TINY_QWEN_IMAGE if scale.tiny else QWEN_IMAGE, QwenImageEditPolicy, file, 4, scale, folder)


def _editor(
    sizes: EditorSizes, kind: Callable[..., EditPolicy], file: Path, group: int, scale: Scale, folder: Path
) -> Measured:
    changes = [
        f"out={folder / 'run'}", f"data.edits=[{_edits(scale, folder)}]", "data.held_out=null",
        "data.cache_mib=0",  # an edit is encoded each time, as a new one is
        f"sampling.group_size={group}", "sampling.groups=1", "optimizer.minibatches=1", "grid_every=null",
        f"updates={scale.steps + 1}", f"save_every={scale.steps + 1}",
    ]  # fmt: skip
    if scale.tiny:
        changes += [f"policy.area_pixels={side(scale) ** 2}", "policy.dtype=float32"]
    settings = load_settings(file, changes)
    phases = Phases()
    fitted = _fitted(sizes, scale)
    found: list[int] = []

    def load(given: TrainSettings, device: torch.device) -> EditPolicy:
        pipeline = pipeline_of(fitted, given.policy.area_pixels or 1024**2, str(device), scale.dtype)
        found.append(parameters(pipeline.transformer))
        policy = kind(pipeline, given.policy, keep_reference=False)
        _watch(phases, policy)
        return policy

    phases.wrap_updates()
    with _steps_of_updates(phases):
        run_training(settings, parts=Parts(load, lambda _: _service()))
    layers = " + ".join(f"{fitted.transformer[name]} of {sizes.transformer[name]}" for name in sizes.layers)
    words = f"{layers} layers, a group of {group}, {settings.sampling.steps} steps, {side(scale)}² pixels"
    return Measured.of(f"GRPO of {sizes.name}, {words}", found[0], phases)


def _fitted(sizes: EditorSizes, scale: Scale) -> EditorSizes:
    """The layers that are asked for, or as many as there is room for beside the other parts."""
    asked = with_fewer_layers(sizes, scale.share) if scale.share < 1.0 else sizes
    if scale.tiny:
        return asked
    around = pipeline_of(with_fewer_layers(sizes, 0.0), 256 * 256, "meta", scale.dtype).components
    around.pop("transformer")
    others = sum(parameters(each) for each in around.values() if isinstance(each, torch.nn.Module))
    free, _ = torch.cuda.mem_get_info()
    room = free - 2 * others - WORK_BYTES
    most = layers_that_fit(sizes, room, 2)
    fewest = {name: min(asked.transformer[name], most.transformer[name]) for name in sizes.layers}
    return replace(sizes, transformer={**sizes.transformer, **fewest})


def _watch(phases: Phases, policy: EditPolicy) -> None:
    """Counts what a policy is asked for; a velocity without gradient is a rollout's or the reference's."""
    reference = policy.reference
    referring = False

    @contextmanager
    def marked() -> Iterator[None]:
        nonlocal referring
        with reference():
            referring = True
            try:
                yield
            finally:
                referring = False

    def kind() -> str:
        return "forward" if torch.is_grad_enabled() else "reference" if referring else "rollout"

    policy.reference = marked  # type: ignore[method-assign]
    phases.wrap(policy, "encode", "preprocess")
    phases.wrap(policy, "decode", "decode")
    phases.wrap(policy, "velocity", kind)


@contextmanager
def _steps_of_updates(phases: Phases) -> Iterator[None]:
    """Within it an update of the editor's trainer is a step."""
    inner = EditTrainer._update

    def update(self: EditTrainer, update: int) -> bool:
        asked = inner(self, update)
        phases.end_step()
        return asked

    EditTrainer._update = update  # type: ignore[method-assign]
    try:
        yield
    finally:
        EditTrainer._update = inner  # type: ignore[method-assign]


def side(scale: Scale) -> int:
    """Of a source, in pixels."""
    return 32 if scale.tiny else 512


def _edits(scale: Scale, folder: Path) -> Path:
    shape = (side(scale), side(scale), 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(noise).save(folder / "source.png")
    file = folder / "edits.jsonl"
    row = {"id": "1", "source": "source.png", "instruction": INSTRUCTION}
    file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return file


def _service() -> AsyncRewardClient:
    """Rewards that differ within a group, at once: scoring is not measured here."""
    server = MockRewardServer(
        lambda request: [number / len(request.candidates) for number in range(len(request.candidates))]
    )
    return AsyncRewardClient(http_client=httpx.AsyncClient(transport=server))
