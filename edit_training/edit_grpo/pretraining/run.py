"""The pre-training run: batches through the policy's own encoding and velocity, AdamW, averaged weights.

Text encoders are trained along with the transformer, which real editors do not do. A run goes on to the bit
from its last checkpoint.
"""

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import FluxKontextPipeline
from diffusers.training_utils import EMAModel
from torch.utils.tensorboard import SummaryWriter

from edit_grpo.policies import load_policy
from edit_grpo.policies.flux_kontext import FluxKontextPolicy
from edit_grpo.policies.settings import PolicySettings
from edit_grpo.policies.shapes_editor import build_shapes_editor
from edit_grpo.policy import Condition
from edit_grpo.pretraining.banks import instruction_bank, picture_bank
from edit_grpo.pretraining.checkpoints import RunState, claim_folder, load_state, save_state
from edit_grpo.pretraining.errors import EditsError
from edit_grpo.pretraining.flow_matching import draw_sigmas, flow_matching_loss, level_weights
from edit_grpo.pretraining.mixed_precision import computing_in
from edit_grpo.pretraining.sampling import sample_sheet
from edit_grpo.pretraining.settings import PretrainSettings
from edit_grpo.pretraining.shapes_edits import Example, ShapesEdit, ShapesExamples, digest_of
from edit_grpo.sde import noised

BETAS = (0.9, 0.98)
TRAINED = ("transformer", "text_encoder", "text_encoder_2")
"""The pipeline's parts that learn, in the order of the averaged weights."""
LOG, CHECKPOINT = "log.jsonl", "checkpoint"


@dataclass(frozen=True)
class StepReport:
    """What one step did; `elapsed_s` counts all runs in the folder."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    step_s: float
    elapsed_s: float


OnStep = Callable[[StepReport], bool]
"""False ends the piece."""


class Pretraining:
    """A shapes editor under training in a folder."""

    def __init__(
        self, edits: Sequence[ShapesEdit], held_out: Sequence[ShapesEdit], directory: Path,
        settings: PretrainSettings, device: str = "cpu", on_picture: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        claim_folder(directory, settings)
        self._directory, self._settings = directory, settings
        self._data_digest = digest_of(edits)
        self._held_out = held_out[: settings.grid_edits]
        temperatures = (settings.first_temperature, settings.temperature)
        self._examples = {each: ShapesExamples(edits, each) for each in temperatures}
        self._device = torch.device(device)
        instructions = [edit.instruction for edit in edits]
        pipeline = build_shapes_editor(instructions, settings.seed).to(self._device)
        self._tokens = instruction_bank(pipeline.tokenizer, instructions, self._device)
        self._pixels = picture_bank(pictures_of(edits), self._device, on_picture)
        self.policy = FluxKontextPolicy(pipeline, PolicySettings(keep_reference=False))
        self._modules = [pipeline.components[name] for name in TRAINED]
        for module in self._modules:
            module.requires_grad_(True)
        if settings.start_from is not None:
            self._start_from(settings.start_from)
        self._parameters = [each for module in self._modules for each in module.parameters()]
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=0.0, betas=BETAS, weight_decay=settings.weight_decay, fused=True
        )
        self._average = EMAModel(self._parameters, decay=settings.ema_decay, foreach=True)
        self.step, self._elapsed_s = 0, 0.0
        state = load_state(directory, self._data_digest)
        if state is not None:
            self._restore(state)

    def run(self, stop_after: int | None = None, on_step: OnStep = lambda report: True) -> None:
        """Trains to the end, to the step `stop_after`, or until told; leaves a state and a checkpoint."""
        end = min(self._settings.steps, stop_after or self._settings.steps)
        if self.step < end:
            self._run_to(end, on_step)
        self.save_checkpoint(self._directory / CHECKPOINT)

    def _run_to(self, end: int, on_step: OnStep) -> None:
        _trim_log(self._directory / LOG, self.step)
        board = SummaryWriter(str(self._directory / "tensorboard"), purge_step=self.step)
        with (self._directory / LOG).open("a", encoding="utf-8") as log:
            while self.step < end:
                report = self._one_step()
                log.write(json.dumps(asdict(report)) + "\n")
                for name in ("loss", "lr", "grad_norm", "step_s"):
                    board.add_scalar(name, getattr(report, name), report.step)
                if not on_step(report):
                    end = self.step
                if self._held_out and (self.step % self._settings.grid_every == 0 or self.step == end):
                    self._draw_grid()
                if self.step % self._settings.checkpoint_every == 0 or self.step == end:
                    log.flush()
                    save_state(self._directory, self._state())
        board.close()

    def save_checkpoint(self, directory: Path) -> None:
        """The averaged weights as a pipeline's folder, in half precision."""
        halved = copy.deepcopy(self.policy.pipeline.components)
        kept = [halved[name] for name in TRAINED]
        self._average.copy_to([each for module in kept for each in module.parameters()])
        for module in kept:
            module.half()
        FluxKontextPipeline(**halved).save_pretrained(str(directory))

    def _one_step(self) -> StepReport:
        begun = time.perf_counter()
        settings, step = self._settings, self.step
        lr = settings.lr_at(step)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        drawn_from = self._examples[settings.temperature_at(step)]
        examples = drawn_from.batch(settings.seed, step, settings.batch_size)
        generator = torch.Generator(self._device).manual_seed(settings.seed * 1_000_003 + step)
        loss = self._loss(examples, generator)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, settings.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._average.step(self._parameters)
        self.step += 1
        taken = time.perf_counter() - begun
        self._elapsed_s += taken
        return StepReport(step, loss.item(), lr, float(norm), taken, self._elapsed_s)

    def _start_from(self, checkpoint: str) -> None:
        """Takes over the weights; the words must be the same."""
        begun = load_policy(checkpoint, PolicySettings(keep_reference=False)).pipeline
        if begun.tokenizer.get_vocab() != self.policy.pipeline.tokenizer.get_vocab():
            raise EditsError(f"{checkpoint} knows other words than the edits have: it cannot be gone on with")
        for module, name in zip(self._modules, TRAINED, strict=True):
            module.load_state_dict(begun.components[name].state_dict())

    def _loss(self, examples: Sequence[Example], generator: torch.Generator) -> torch.Tensor:
        with torch.no_grad():
            source = self._latents([each.source for each in examples])
            data = self._latents([each.target for each in examples])
        sigmas = draw_sigmas(len(examples), self._settings, generator)
        noise = torch.randn(data.shape, generator=generator, device=self._device)
        with computing_in(self._settings.dtype, self._device):
            text = self.policy.encode_tokens(self._tokens(each.instruction for each in examples))
            condition = Condition({"source_latents": source, **text})
            velocity = self.policy.velocity(noised(data, noise, sigmas), sigmas, condition).float()
        weights = level_weights(sigmas, self._settings.sigma_floor)
        return flow_matching_loss(velocity, data, noise, weights)

    def _latents(self, pictures: Sequence[Path]) -> torch.Tensor:
        return self.policy.encode_pixels(self._pixels(pictures).float() / 127.5 - 1.0)

    def _draw_grid(self) -> None:
        self._average.store(self._parameters)
        self._average.copy_to(self._parameters)
        sheet = sample_sheet(self.policy, self._held_out, self._settings.sampling_steps)
        self._average.restore(self._parameters)
        grids = self._directory / "grids"
        grids.mkdir(exist_ok=True)
        sheet.save(grids / f"{self.step:06d}.png")

    def _state(self) -> RunState:
        return RunState(
            self._data_digest, self.step, self._elapsed_s, [module.state_dict() for module in self._modules],
            self._optimizer.state_dict(), self._average.state_dict(),
        )  # fmt: skip

    def _restore(self, state: RunState) -> None:
        for module, weights in zip(self._modules, state.weights, strict=True):
            module.load_state_dict(weights)
        self._optimizer.load_state_dict(state.optimizer)
        self._average.load_state_dict(state.average)
        self._average.to(self._device)
        self.step, self._elapsed_s = state.step, state.elapsed_s


def pictures_of(edits: Sequence[ShapesEdit]) -> list[Path]:
    """Every source and every target."""
    return [path for edit in edits for path in (edit.source, *edit.targets)]


def _trim_log(path: Path, step: int) -> None:
    """Drops the lines of steps that a killed run did after its last checkpoint."""
    if path.exists():
        kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[:step]
        path.write_text("".join(kept), encoding="utf-8")
