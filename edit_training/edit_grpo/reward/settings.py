"""Settings of the reward service, and of what becomes of its answers."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edit_rrm.guards import GuardMode, GuardName
from edit_rrm.nested_settings import Section
from edit_rrm_client import Category


class RewardSettings(Section):
    """The reward service, and what becomes of its answers."""

    urls: tuple[str, ...] = Field(
        default=("http://127.0.0.1:8000",), min_length=1, description="one service, or several equal ones"
    )
    api_key_env: str = Field(default="EDIT_RRM_API_KEY", description="variable that holds the key, if any")
    deadline_s: float = Field(default=120.0, gt=0.0, le=3600.0, description="seconds a group may take")
    attempts: int = Field(default=3, ge=1, description="requests a group makes before the service is away")
    patience_s: float = Field(
        default=1800.0, ge=0.0, description="seconds that a run waits for a service that is away"
    )
    poll_s: float = Field(default=5.0, gt=0.0, description="seconds between looks at a service that is away")
    max_empty_updates: int = Field(
        default=5, ge=1, description="updates in a row without any reward after which the run gives up"
    )
    overlap: bool = Field(
        default=True, description="sample the next group while one is scored; off is for the benchmark"
    )
    encoding: Literal["png", "webp-lossless", "jpeg95", "jpeg"] = Field(
        default="png", description="how candidates travel"
    )
    principles: Literal["service", "file"] = Field(
        default="service", description="decomposed by the service, or the ones of the edit's row"
    )
    samples: int = Field(default=1, ge=1, le=32, description="traces per candidate, averaged")
    temperature: float | None = Field(default=None, ge=0.0, le=2.0, description="the checkpoint's if absent")
    guards: GuardMode | dict[GuardName, GuardMode] | None = Field(
        default=None, description="image checks: a word for all or by name; absent: as the service says"
    )
    shape: Literal["service", "model_score", "weighted_mean", "gated", "soft"] = Field(
        default="service", description="the scalar: the service's own reward, or formed here from the answer"
    )
    category_weights: dict[Category, Annotated[float, Field(ge=0.0)]] = Field(
        default_factory=dict, description="factors of the verdicts' weights by category; 0 leaves them out"
    )

    @model_validator(mode="after")
    def _weights_have_an_effect(self) -> Self:
        if self.category_weights and self.shape in ("service", "model_score"):
            raise ValueError(f"category_weights have no effect on shape {self.shape}")
        return self
