"""What a pipeline of diffusers predicts at each step of its own call: policies are held against that."""

from typing import Any, NamedTuple

import torch

from edit_grpo.policies.diffusers_policy import DiffusersPolicy
from edit_grpo.policies.policy import Condition


class StockStep(NamedTuple):
    """One step of the call: packed latents before it, σ, and the prediction that the scheduler was given."""

    latents: torch.Tensor
    sigma: torch.Tensor
    prediction: torch.Tensor


def stock_call(pipeline: Any, **options: Any) -> tuple[Any, list[StockStep]]:
    """The call's result, and its steps as the scheduler met them."""
    steps: list[StockStep] = []
    step = pipeline.scheduler.step

    def recorded(prediction: torch.Tensor, timestep: torch.Tensor, latents: torch.Tensor, **rest: Any) -> Any:
        steps.append(StockStep(latents, timestep / 1000, prediction))
        return step(prediction, timestep, latents, **rest)

    pipeline.scheduler.step = recorded
    try:
        pipeline.set_progress_bar_config(disable=True)
        return pipeline(**options).images, steps
    finally:
        del pipeline.scheduler.step


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is Any here
def velocity_errors(policy: DiffusersPolicy, condition: Condition, steps: list[StockStep]) -> list[float]:
    """At each step the largest difference of the policy's velocity from the pipeline's own prediction."""
    like = policy.noise(condition, torch.Generator())
    return [
        (
            policy._pack(
                policy.velocity(policy._unpack(step.latents, like), step.sigma.float().reshape(1), condition)
            )
            - step.prediction
        )
        .abs()
        .max()
        .item()
        for step in steps
    ]
