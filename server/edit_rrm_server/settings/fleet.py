"""The settings of `edit-rrm-server` that say which engine runs prompts, and what a fleet needs."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from edit_rrm_server.settings.api_keys import is_sendable
from edit_rrm_server.settings.lists import split_at_commas

# What only the engine in this process reads: with a fleet these are settings of the fleet.
_IN_PROCESS = frozenset(
    {
        "dtype", "max_model_len", "max_num_seqs", "tensor_parallel_size", "pipeline_parallel_size",
        "data_parallel_size", "front_end_workers", "gpu_memory_utilization", "kv_cache_gib", "enforce_eager",
        "forkserver", "batch_invariant",
        "engine_restart_limit", "engine_restart_backoff_s", "reload_root",
        "base", "adapter_mode", "engine_args",
    }
)  # fmt: skip


class FleetSettings(BaseSettings):
    """Part of `ServerSettings`."""

    engine: Literal["vllm", "openai"] = Field(
        default="vllm", description="vllm: in this process; openai: a fleet of servers of the OpenAI API"
    )
    upstreams: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_at_commas)] = Field(
        default=(),
        description="base URLs of the fleet's servers, separated by commas, each up to and with its /v1",
    )
    upstream_model: str | None = Field(
        default=None, description="the fleet's id of the model; default: the only one it serves"
    )
    upstream_key: SecretStr | None = Field(default=None, description="key that the upstreams want")
    upstream_dialect: Literal["vllm", "openai"] = Field(
        default="vllm",
        description="vllm: switches off defaults a checkpoint's generation_config.json would set; "
        "openai: sends only what every such server knows",
    )
    upstream_top_logprobs: int = Field(
        default=20, ge=0, le=20, description="tokens shown at every place; 0 if the fleet cannot show any"
    )
    upstream_timeout_s: float = Field(
        default=300.0, gt=0.0, allow_inf_nan=False, description="how long an upstream may take over a prompt"
    )
    upstream_retries: int = Field(
        default=4, ge=0, le=20, description="further attempts at a prompt that failed at an upstream"
    )
    upstream_check_interval_s: float = Field(
        default=2.0, gt=0.0, le=60.0, description="time between two looks at the upstreams"
    )
    affinity_slack: int = Field(
        default=32,
        ge=0,
        description="prompts an upstream may have more than the least busy before a group leaves it",
    )

    @field_validator("upstreams", mode="after")
    @classmethod
    def _check_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        plain = tuple(url.rstrip("/") for url in urls)
        for url in plain:
            parts = urlsplit(url)
            _ = parts.port  # raises ValueError for one out of range
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise ValueError("expected base URLs like http://10.0.0.1:8000/v1")
            if parts.username is not None:
                raise ValueError("a key belongs in upstream_key, not in a URL")
        if len(set(plain)) != len(plain):
            raise ValueError("an upstream is named twice")
        return plain

    @field_validator("upstream_key", mode="after")
    @classmethod
    def _check_upstream_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not is_sendable(key.get_secret_value()):
            raise ValueError("expected a key of ASCII letters, digits or signs without white space")
        return key

    @model_validator(mode="after")
    def _check_engine(self) -> Self:
        """Refuses settings of the engine that does not run."""
        fleet = self.engine == "openai"
        idle = _IN_PROCESS if fleet else frozenset(FleetSettings.model_fields) - {"engine"}
        without_effect = sorted(idle & self.model_fields_set)
        if without_effect:
            raise ValueError(f"{', '.join(without_effect)}: no effect with engine={self.engine}")
        if fleet and not self.upstreams:
            raise ValueError("engine=openai needs upstreams")
        return self
