"""The pipeline's one configuration file (TOML): endpoints, who decomposes, who teaches, who verifies.

Relative paths in it start at the file. An unknown key is refused.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from edit_rrm import plugins
from edit_rrm.errors import DecompositionError, SettingsFileError
from edit_rrm.judges import get_profile
from edit_rrm.judges.exemplars import exemplar_pool, read_exemplars
from edit_rrm.judges.zero_shot import ZeroShotProfile
from edit_rrm.principles import Principle, count_by_category
from edit_rrm.prompts import PromptProfile
from edit_rrm.setting_problems import problems
from edit_rrm.settings_files import read_settings_file
from edit_rrm_training.endpoints.endpoint import Endpoint
from edit_rrm_training.endpoints.kinds import open_endpoint, read_table
from edit_rrm_training.errors import StepError
from edit_rrm_training.pipeline.prompts import STANCES

_GROUP: plugins.Group = "edit_rrm_training.pipelines"


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CategoryCounts(_Settings):
    """How many principles of each category a decomposition must have, least and most."""

    follow: tuple[int, int] = (3, 4)
    keep: tuple[int, int] = (3, 4)
    quality: tuple[int, int] = (2, 3)

    def check(self, principles: tuple[Principle, ...], text: str) -> None:
        """Raises DecompositionError naming the first category that has too few or too many."""
        for category, count in count_by_category(principles).items():
            least, most = getattr(self, category.value)
            if not least <= count <= most:
                raise DecompositionError(
                    f"expected {least} to {most} principles of category {category.value}, got {count}", text
                )


class DecomposeSettings(_Settings):
    """The `[decompose]` table."""

    endpoint: str
    temperature: float = 0.7
    max_tokens: int = 1024
    draws: int = Field(default=3, ge=1, description="until an answer validates")
    exemplars: int = Field(default=4, ge=0, description="shown in each prompt; the zero-shot profile only")
    pool: Path | None = Field(default=None, description="JSON file of exemplars; ours without it")
    counts: CategoryCounts = CategoryCounts()


class TeacherSettings(_Settings):
    """A `[[teachers]]` table: an endpoint, a prompt, a temperature."""

    name: str
    endpoint: str
    stance: str = "plain"
    temperature: float = 0.7

    @model_validator(mode="after")
    def _known_stance(self) -> "TeacherSettings":
        if self.stance not in STANCES:
            raise ValueError(f"unknown stance {self.stance!r}; expected one of {list(STANCES)}")
        return self


class ReasonSettings(_Settings):
    """The `[reason]` table."""

    traces: int = Field(default=4, ge=1, description="per quadruple, by different teachers while there are")
    max_tokens: int = 2048
    draws: int = Field(default=2, ge=1)


class VerifySettings(_Settings):
    """The `[verify]` table."""

    endpoint: str
    temperature: float = 0.0
    max_tokens: int = 2048
    draws: int = Field(default=2, ge=1)


class PipelineSettings(_Settings):
    """The whole file."""

    profile: Literal["zero_shot", "trained"] = "zero_shot"
    """In whose words the endpoints are asked and answer."""
    seed: int = 0
    endpoints: dict[str, SerializeAsAny[BaseModel]]
    """By name; what a table may hold depends on its `kind` (endpoints/kinds.py)."""
    decompose: DecomposeSettings
    teachers: tuple[TeacherSettings, ...] = Field(min_length=1)
    reason: ReasonSettings = ReasonSettings()
    verify: VerifySettings

    @field_validator("endpoints", mode="plain")
    @classmethod
    def _of_their_kinds(cls, given: Any) -> dict[str, BaseModel]:
        if not isinstance(given, dict):
            raise ValueError("expected [endpoints.NAME] tables")
        return {name: read_table(name, table) for name, table in given.items()}

    @model_validator(mode="after")
    def _names_exist(self) -> "PipelineSettings":
        named = {self.decompose.endpoint, self.verify.endpoint, *(t.endpoint for t in self.teachers)}
        if missing := sorted(named - set(self.endpoints)):
            raise ValueError(f"no [endpoints.NAME] table for {', '.join(missing)}")
        if len({teacher.name for teacher in self.teachers}) < len(self.teachers):
            raise ValueError("two teachers have the same name")
        return self

    def prompt_profile(self) -> PromptProfile:
        """The profile, with the exemplars that `[decompose]` asks for. Raises StepError for a bad pool."""
        if self.profile != "zero_shot":
            return get_profile(self.profile)
        path, count = self.decompose.pool, self.decompose.exemplars
        try:
            pool = exemplar_pool() if path is None else read_exemplars(path)
        except (OSError, ValueError) as error:
            raise StepError(f"exemplar pool {path}: {error}") from error
        if count > len(pool):
            raise StepError(f"exemplar pool {path or 'of our own'} has {len(pool)} exemplars, not {count}")
        return ZeroShotProfile(count, pool)

    @asynccontextmanager
    async def opened(self, *names: str) -> AsyncIterator[dict[str, Endpoint]]:
        """The endpoints of those names, closed afterwards."""
        async with AsyncExitStack() as stack:
            endpoints = {name: open_endpoint(name, self.endpoints[name]) for name in names}
            for endpoint in endpoints.values():
                stack.push_async_callback(endpoint.close)
            yield endpoints


def read_settings(config: str) -> PipelineSettings:
    """The settings in a TOML, YAML or JSON file, or those that a package registers under that name.

    The entry point group is `edit_rrm_training.pipelines`: a function without arguments that returns the
    file's path. Raises StepError.
    """
    registered = plugins.names(_GROUP)
    path: Path = plugins.load(_GROUP, config)() if config in registered else Path(config)
    if not path.exists():
        raise StepError(
            f"configuration {config}: no such file, and none of that name is installed "
            f"(there are: {', '.join(registered) or 'none'}; edit-rrm-shapes brings shapes)"
        )
    try:
        settings = PipelineSettings.model_validate(read_settings_file(path))
    except SettingsFileError as error:
        raise StepError(f"configuration {config}: {error}") from error
    except ValidationError as error:
        raise StepError(f"configuration {config}: {'; '.join(problems(error, PipelineSettings))}") from error
    if settings.decompose.pool is None:
        return settings
    pool = path.parent / settings.decompose.pool
    decompose = settings.decompose.model_copy(update={"pool": pool})
    return settings.model_copy(update={"decompose": decompose})
