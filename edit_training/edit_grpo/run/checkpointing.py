"""Checkpoints that a run resumes from, to the bit: what was trained, the optimiser, the averages.

There is no random state in them: every noise and every order is a function of seed and update number.
Weights are safetensors; the optimiser is a torch file that is read without unpickling objects. A checkpoint
appears under its name only when it is whole.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from edit_grpo.algorithms.averages import MovingAverage
from edit_grpo.errors import CheckpointError

FOLDER = "checkpoints"
POLICY = "policy"
WEIGHTS, _OPTIMIZER, _PROGRESS = "trainable.safetensors", "optimizer.pt", "progress.json"


@dataclass(frozen=True)
class TrainingState:
    """Everything that changes in a run."""

    parameters: Sequence[torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    averages: Mapping[str, MovingAverage]


@dataclass(frozen=True)
class Progress:
    """How far a run is: updates done, and how many of the last ones in a row brought no reward at all."""

    update: int = 0
    empty_updates: int = 0


def update_name(update: int) -> str:
    """What is kept of a run after so many updates, in names that sort."""
    return f"update-{update:07d}"


def newest_checkpoint(out: Path) -> Path | None:
    """The checkpoint with the most updates in a run directory."""
    found = _checkpoints(out)
    return found[-1] if found else None


def save_checkpoint(
    out: Path, progress: Progress, state: TrainingState, keep: int, save_policy: Callable[[Path], None]
) -> Path:
    """Writes the state, with the policy's own files in POLICY, and removes all but the newest `keep`."""
    target = out / FOLDER / update_name(progress.update)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(_tensors(state), str(partial / WEIGHTS))
    torch.save(state.optimizer.state_dict(), partial / _OPTIMIZER)
    (partial / _PROGRESS).write_text(json.dumps(asdict(progress)), encoding="utf-8")
    save_policy(partial / POLICY)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)
    for old in _checkpoints(out)[:-keep]:
        shutil.rmtree(old)
    return target


def load_checkpoint(path: Path, state: TrainingState) -> Progress:
    """Puts a saved state into the parameters, the optimiser and the averages. Raises CheckpointError."""
    try:
        saved = load_file(str(path / WEIGHTS))
        optimizer = torch.load(path / _OPTIMIZER, map_location="cpu", weights_only=True)
        progress = Progress(**json.loads((path / _PROGRESS).read_text(encoding="utf-8")))
    except Exception as error:  # whatever a damaged file makes its reader raise
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    expected = {name: tuple(tensor.shape) for name, tensor in _tensors(state).items()}
    found = {name: tuple(tensor.shape) for name, tensor in saved.items()}
    if expected != found:
        raise CheckpointError(
            f"{path} holds {len(found)} tensors that are not this policy's {len(expected)}: "
            "was it trained with another policy or other adapters?"
        )
    with torch.no_grad():
        for number, parameter in enumerate(state.parameters):
            parameter.copy_(saved[f"parameter.{number}"])
    state.optimizer.load_state_dict(optimizer)
    for name, average in state.averages.items():
        average.load([saved[f"{name}.{number}"] for number in range(len(average.tensors))])
    return progress


def _tensors(state: TrainingState) -> dict[str, torch.Tensor]:
    tensors = {f"parameter.{number}": each.detach() for number, each in enumerate(state.parameters)}
    for name, average in state.averages.items():
        tensors |= {f"{name}.{number}": each for number, each in enumerate(average.tensors)}
    return {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}


def _checkpoints(out: Path) -> list[Path]:
    """All whole checkpoints of a run, the newest last."""
    return sorted((out / FOLDER).glob("update-[0-9]*[0-9]"))
