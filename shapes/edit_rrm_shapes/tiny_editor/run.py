"""The pre-training run: the autoencoder, then flow matching through the policy's own velocity on its latents.

Text encoders are trained along with the transformer, which real editors do not do. A run goes on to the bit
from its last checkpoint.
"""

import copy
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import torch
from diffusers import FluxKontextPipeline

from edit_grpo.policies.flux_kontext import FluxKontextPolicy
from edit_grpo.policies.policy import Condition
from edit_grpo.rollout.sde import noised
from edit_grpo.run.samples import sample_sheet
from edit_rrm_shapes.errors import EditsError
from edit_rrm_shapes.tiny_editor.banks import Bank, instruction_bank, picture_bank
from edit_rrm_shapes.tiny_editor.checkpoints import claim_folder
from edit_rrm_shapes.tiny_editor.crops import crops_with_detail
from edit_rrm_shapes.tiny_editor.flow_matching import draw_sigmas, flow_matching_loss, level_weights
from edit_rrm_shapes.tiny_editor.loading import load_editor, plain_settings
from edit_rrm_shapes.tiny_editor.mixed_precision import computing_in
from edit_rrm_shapes.tiny_editor.pipeline import build_shapes_editor
from edit_rrm_shapes.tiny_editor.settings import PretrainSettings
from edit_rrm_shapes.tiny_editor.shapes_edits import ShapesEdit, ShapesExamples, digest_of
from edit_rrm_shapes.tiny_editor.stepping import OnStep, Stage

TRAINED = ("transformer", "text_encoder", "text_encoder_2")
"""The pipeline's parts that learn to edit, in the order of the averaged weights."""
CHECKPOINT = "checkpoint"
_ENCODED_AT_ONCE = 256


class Pretraining:
    """A shapes editor under training in a folder."""

    def __init__(
        self, edits: Sequence[ShapesEdit], held_out: Sequence[ShapesEdit], directory: Path,
        settings: PretrainSettings, device: str = "cpu", on_picture: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        claim_folder(directory, settings)
        self._directory, self._settings = directory, settings
        self._held_out = held_out[: settings.flow.grid_edits]
        self._device = torch.device(device)
        flow = settings.flow
        self._good = ShapesExamples(edits, flow.first_temperature)
        self._flawed = ShapesExamples(edits, flow.temperature, flow.undone_share)
        instructions = [edit.instruction for edit in edits]
        pipeline = build_shapes_editor(instructions, settings.seed).to(self._device)
        self._tokens = instruction_bank(pipeline.tokenizer, instructions, self._device)
        self._pictures = pictures_of(edits)
        self._pixels = picture_bank(self._pictures, self._device, on_picture)
        self.policy = FluxKontextPolicy(pipeline, plain_settings("shapes-editor"), keep_reference=False)
        self._vae = pipeline.vae
        modules = [pipeline.components[name] for name in TRAINED]
        if settings.start_from is not None:
            self._start_from(settings.start_from, modules)
        digest = digest_of(edits)
        self.vae = Stage("vae", [self._vae], self._vae_loss, settings.vae, directory, digest)
        self.flow = Stage("flow", modules, self._flow_loss, settings.flow, directory, digest)

    def run(self, stop_after: int | None = None, on_step: OnStep = lambda report: True) -> None:
        """Trains to the end, until told, or to the step `stop_after` of the second stage.

        Leaves states, and a checkpoint once the second stage has begun.
        """
        if not self.vae.done:
            self._vae.train()
            came_through = self.vae.run(self.vae.settings.steps, on_step)
            self._vae.eval()
            if not came_through:
                return
        self._vae.requires_grad_(False)
        end = min(self._settings.flow.steps, stop_after or self._settings.flow.steps)
        if self.flow.step < end:
            self.flow.run(end, on_step, self._after_step)
        self.save_checkpoint(self._directory / CHECKPOINT)

    def save_checkpoint(self, directory: Path) -> None:
        """The averaged weights as a pipeline's folder, in half precision."""
        halved = copy.deepcopy(self.policy.pipeline.components)
        kept = [halved[name] for name in TRAINED]
        self.flow.copy_average_to(kept)
        halved["vae"].absorb_norm()
        for module in (*kept, halved["vae"]):
            module.half()
        FluxKontextPipeline(**halved).save_pretrained(str(directory))

    def _generator(self, step: int) -> torch.Generator:
        return torch.Generator(self._device).manual_seed(self._settings.seed * 1_000_003 + step)

    def _start_from(self, checkpoint: str, modules: Sequence[torch.nn.Module]) -> None:
        """Takes over the weights; the words must be the same."""
        begun = load_editor(checkpoint).pipeline
        if begun.tokenizer.get_vocab() != self.policy.pipeline.tokenizer.get_vocab():
            raise EditsError(f"{checkpoint} knows other words than the edits have: it cannot be gone on with")
        for module, name in zip((*modules, self._vae), (*TRAINED, "vae"), strict=True):
            module.load_state_dict(begun.components[name].state_dict())

    def _vae_loss(self, step: int) -> torch.Tensor:
        """Absolute and squared error, so that edges are sharp and colours right."""
        vae, generator = self._settings.vae, self._generator(step)
        drawn = self._flawed.batch(self._settings.seed + 1, step, vae.batch_size)
        pictures = self._pixels(path for each in drawn for path in (each.source, each.target))
        if step < vae.steps * vae.crop_share:
            pictures = crops_with_detail(pictures, vae.crop_side, self._vae.fold, generator)
        pixels = scaled(pictures)
        with computing_in(self._settings.dtype, self._device):
            latents = self._vae.encode(pixels).latents
            noise = torch.randn(latents.shape, generator=generator, device=self._device)
            error = self._vae.decode(latents + vae.noise * noise)[0].float() - pixels
        return error.abs().mean() + error.square().mean()

    def _flow_loss(self, step: int) -> torch.Tensor:
        settings, generator = self._settings.flow, self._generator(step)
        taught = self._flawed if settings.flawed_at(step) else self._good
        examples = taught.batch(self._settings.seed, step, settings.batch_size)
        source = self._latents(each.source for each in examples).float()
        data = self._latents(each.target for each in examples).float()
        sigmas = draw_sigmas(len(examples), settings, generator)
        noise = torch.randn(data.shape, generator=generator, device=self._device)
        with computing_in(self._settings.dtype, self._device):
            text = self.policy.encode_tokens(self._tokens(each.instruction for each in examples))
            condition = Condition({"source_latents": source, **text})
            velocity = self.policy.velocity(noised(data, noise, sigmas), sigmas, condition).float()
        return flow_matching_loss(velocity, data, noise, level_weights(sigmas, settings.sigma_floor))

    @cached_property
    def _latents(self) -> Bank[Path]:
        """Of every picture, once the autoencoder has learned; in half precision, 5 kB each."""
        paths = list(dict.fromkeys(self._pictures))
        starts = range(0, len(paths), _ENCODED_AT_ONCE)
        with torch.no_grad():
            parts = [
                self.policy.encode_pixels(
                    scaled(self._pixels(paths[start : start + _ENCODED_AT_ONCE]))
                ).half()
                for start in starts
            ]
        return Bank(paths, torch.cat(parts))

    def _after_step(self, last: bool) -> None:
        if self._held_out and (last or self.flow.step % self._settings.flow.grid_every == 0):
            with self.flow.averaged():
                sheet = sample_sheet(
                    self.policy, self._held_out, self._settings.flow.sampling_steps, ShapesEdit.best_target
                )
            grids = self._directory / "grids"
            grids.mkdir(exist_ok=True)
            sheet.save(grids / f"{self.flow.step:06d}.png")


def scaled(pixels: torch.Tensor) -> torch.Tensor:
    """Bytes as float32 in −1 to 1."""
    return pixels.float() / 127.5 - 1.0


def pictures_of(edits: Sequence[ShapesEdit]) -> list[Path]:
    """Every source and every target."""
    return [path for edit in edits for path in (edit.source, *edit.targets)]
