"""Low-rank adapters as a setting, for every trainer here; each says which layers it means by default."""

from pydantic import BaseModel, ConfigDict, Field


class LoraSettings(BaseModel):
    """New adapters (PEFT); the model with them switched off is the reference."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(default=64, ge=1, description="rank of each adapter")
    alpha: float = Field(
        default=128.0, gt=0.0, description="scale of the adapters; alpha / rank multiplies them"
    )
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0, description="dropout inside the adapters")
    targets: str | tuple[str, ...] = Field(
        min_length=1,
        description="layers that get one: ends of their names, or a regular expression of whole names",
    )
