"""How large a measured training is, and what is written of it."""

from dataclasses import dataclass

import torch

from rig.phases import REST, Phases


@dataclass(frozen=True)
class Scale:
    """How large everything is, how many steps are measured, and the share of an editor's layers."""

    tiny: bool
    steps: int = 2
    share: float = 1.0

    @property
    def device(self) -> str:
        """Where it runs."""
        return "cpu" if self.tiny else "cuda"

    @property
    def dtype(self) -> torch.dtype:
        """Type of frozen weights."""
        return torch.float32 if self.tiny else torch.bfloat16


@dataclass(frozen=True)
class Measured:
    """A part as it is written to its file."""

    what: str
    """The model, and what a step has."""
    parameters: int
    steps: int
    seconds_a_step: float
    seconds: dict[str, float]
    """Means over the measured steps, by where the time goes; the first step is not among them."""
    peak_gib: float
    peak_of: dict[str, float]
    """GiB, by where the time goes; sampled, so that what was short may be missing."""
    device: str

    @classmethod
    def of(cls, what: str, parameters: int, phases: Phases) -> "Measured":
        """What was counted, but for the first step."""
        steps = phases.steps[1:]
        names = sorted({name for step in steps for name in step} - {REST})
        seconds = {name: sum(step.get(name, 0.0) for step in steps) / len(steps) for name in (*names, REST)}
        sampled = max(phases.peak_bytes.values())
        cuda = torch.cuda.is_available()
        peak = torch.cuda.max_memory_allocated() if cuda else sampled
        return cls(
            what, parameters, len(steps), sum(seconds.values()), seconds, peak / 2**30,
            {name: phases.peak_bytes[name] / 2**30 for name in names if phases.peak_bytes[name]},
            torch.cuda.get_device_name() if cuda else "cpu",
        )  # fmt: skip
