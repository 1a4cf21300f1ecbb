"""`rrm.json`, the card beside a checkpoint's weights: how it was trained to be asked and served.

What is trained is what is served: training writes this file, the server reads it.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edit_rrm import plugins
from edit_rrm.errors import CheckpointError
from edit_rrm.guards.modes import GuardMode, GuardName
from edit_rrm.image_scale import ImageScale, processor_scale, smaller
from edit_rrm.nearest import nearest
from edit_rrm.principles import Category
from edit_rrm.run_directories import checkpoint_inside, checkpoints_beside
from edit_rrm.setting_problems import problems

_GROUP: plugins.Group = "edit_rrm.checkpoints"
FILE_NAME = "rrm.json"
_ZERO_SHOT_PIXELS = 1280 * 1280
AggregatorName = Literal["model_score", "weighted_mean", "gated", "soft"]


class SamplingDefaults(BaseModel):
    """How traces are drawn unless a request says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int | None = Field(default=None, ge=1, description="tokens to choose among; absent: all")
    seed: int = 0
    max_tokens: int = Field(default=1024, ge=1)


class RRMCard(BaseModel):
    """The content of `rrm.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    profile: Literal["trained", "zero_shot"]
    trace_format: Literal["1", "json"]
    categories: tuple[Category, ...] = tuple(Category)
    sampling: SamplingDefaults = SamplingDefaults()
    decomposition: SamplingDefaults | None = Field(
        default=None,
        description="how principles are drawn, whatever a score asks for; absent: as traces",
    )
    aggregator: AggregatorName = "model_score"
    template_arguments: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="of the chat template, besides the judge's own"
    )
    max_image_side: int | None = Field(
        default=None, ge=28, description="longest side in pixels the model takes"
    )
    pixel_budget: int | None = Field(default=None, ge=784, description="most pixels of an image it takes")
    patch: int = Field(
        default=1, ge=1, description="sides of an image that is scaled down are multiples of so many pixels"
    )
    guards: dict[GuardName, GuardMode] = Field(
        default_factory=dict, description="enforce, report or off for some guards; the others are enforced"
    )
    judges: str = Field(default="", description="what the scores are good for, shown wherever they are")
    training: dict[str, Any] = Field(default_factory=dict, description="how it was trained, and its results")

    @property
    def scale(self) -> ImageScale:
        """How large the model is shown images."""
        return ImageScale(self.max_image_side, self.pixel_budget, self.patch)


def zero_shot_card(name: str, directory: Path | None = None) -> RRMCard:
    """The card of a checkpoint that has none: any instruction-tuned VLM, its files in `directory`.

    An image has as many pixels as its processor would leave it, and at most those of 1280 x 1280.
    """
    patch, most = (1, None) if directory is None else processor_scale(directory)
    budget = smaller(_ZERO_SHOT_PIXELS, most)
    return RRMCard(name=name, profile="zero_shot", trace_format="json", pixel_budget=budget, patch=patch)


def read_card(directory: Path, name: str | None = None) -> RRMCard:
    """`directory/rrm.json`, or the zero-shot card of that name (the directory's) when there is none.

    Raises CheckpointError for a file that exists and does not fit.
    """
    path = directory / FILE_NAME
    if not path.exists():
        return zero_shot_card(name or directory.absolute().name, directory)
    try:
        return RRMCard.model_validate_json(path.read_bytes())
    except ValidationError as error:
        wrong = "; ".join(problems(error, RRMCard, "field"))
        raise CheckpointError(f"{path} does not fit: {wrong}") from error


def checkpoint_directory(name_or_path: str | Path) -> Path:
    """Where a checkpoint lies that is given by its directory, or by the name an installed package registers.

    The entry point group is `edit_rrm.checkpoints`: a directory by its name. A directory goes before a name,
    and that of a run means its `final/`.
    What begins like a path and is not there becomes absolute: a Path drops "./" and could be a hub's id.
    What is neither is given back as it is: `no_such_checkpoint` has the words for it.
    """
    path = Path(name_or_path)
    if not path.exists() and isinstance(name_or_path, str) and name_or_path.startswith(("./", "../", "~")):
        return path.expanduser().absolute()
    if not path.exists() and str(name_or_path) in plugins.names(_GROUP):
        registered: Path = plugins.load(_GROUP, str(name_or_path))
        return registered
    return checkpoint_inside(path)


def no_such_checkpoint(name_or_path: str | Path) -> str:
    """Says what is there instead."""
    known = ", ".join(plugins.names(_GROUP)) or "none"
    return (
        f"there is no checkpoint {name_or_path}: no such folder, and none of that name is installed"
        f"{checkpoint_meant(name_or_path)} (there are: {known}; edit-rrm-shapes brings more)"
    )


def checkpoint_meant(name_or_path: str | Path) -> str:
    """The end of a message about a checkpoint that is not there: what has a name like it, or nothing."""
    path = Path(name_or_path)
    beside = {other.name: str(other) for other in checkpoints_beside(path)}
    known = beside | {name: name for name in plugins.names(_GROUP)}
    meant = nearest(path.name, known)
    return "" if meant is None else f"; did you mean {known[meant]}?"


def write_card(directory: Path, card: RRMCard) -> None:
    """Writes `directory/rrm.json`."""
    (directory / FILE_NAME).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
