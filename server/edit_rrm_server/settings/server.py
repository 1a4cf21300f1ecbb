"""The one settings model of `edit-rrm-server`; environment, file and command line all fill it.

Order of precedence: command line, environment (`EDIT_RRM_<NAME>`), file (TOML, YAML or JSON), defaults. A
name that no field has is refused wherever it comes from.
"""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from edit_rrm.checkpoint import checkpoint_directory
from edit_rrm.errors import SettingsFileError
from edit_rrm.guards import GuardSettings
from edit_rrm.nearest import did_you_mean
from edit_rrm.nested_settings import put
from edit_rrm.proxies import is_loopback
from edit_rrm.settings_files import read_settings_file
from edit_rrm_server.settings.admin import AdminSettings
from edit_rrm_server.settings.api_keys import KeyOwner, Keys, read_keys_file
from edit_rrm_server.settings.engine_args import read_engine_args
from edit_rrm_server.settings.fleet import FleetSettings
from edit_rrm_server.settings.lists import split_at_commas

ENV_PREFIX = "EDIT_RRM_"
CPU_SEQUENCES = 64
SHARE_OF_SEVERAL = 0.75
LEAST_QUEUE = 4096
LONGEST_DEFAULT_TOKENS = 16_384
"""A context of 128 k wants more KV cache for its one longest prompt than most cards have left."""
BUNDLED_MODEL = Path(__file__).parents[1] / "models" / "edit-rrm-tiny"
Dialect = Literal["flow_factory", "unirl"]
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
# Variables with our prefix that belong to the client and may live in the same environment.
_CLIENT_VARIABLES = frozenset({"EDIT_RRM_API_KEY", "EDIT_RRM_URL"})


class ServerSettings(FleetSettings, AdminSettings):
    """Everything an operator can decide."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        hide_input_in_errors=True,  # it may be a key
    )

    # What is served
    model: Annotated[Path, BeforeValidator(checkpoint_directory)] = Field(
        default=BUNDLED_MODEL,
        description="directory, registered name or hub id (org/name, org/name@revision) of a checkpoint or a "
        "LoRA adapter, served with the zero_shot profile if it has no rrm.json; of a fleet: its card, or the "
        "fleet's id of a model without one",
    )
    base: str | None = Field(
        default=None,
        min_length=1,
        description="directory or hub id of the checkpoint an adapter belongs to; default: what its "
        "adapter_config.json names",
    )
    adapter_mode: Literal["merge", "lora"] = Field(
        default="merge",
        description="merge: an adapter is added to its base's weights once, and the result kept; lora: vLLM "
        "applies it at every step",
    )

    adapters: dict[ModelName, str] = Field(
        default_factory=dict,
        description="LoRA adapters of `model`, each a directory or hub id, by the names that requests choose "
        "them by (--set adapters.NAME=DIR); vLLM applies them at every step",
    )

    # Where it is served
    host: str = Field(
        default="127.0.0.1",
        description="address to listen on; one that other machines reach needs api_keys or allow_open",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    api_keys: Keys = Field(
        default=(), description="keys that may call, separated by commas; none leaves the service open"
    )
    api_keys_file: Path | None = Field(
        default=None,
        description="file of further keys, one a line, each with its owner's name and limits if wanted: "
        "KEY name=trainer-a lane=bulk jobs=512 tokens_per_minute=200000; blank and # lines are passed over",
    )
    metrics_need_key: bool = Field(default=False, description="whether /metrics needs a key too")
    page: bool = Field(
        default=True,
        description="answer GET / with a page for people; its files need no key, the scores it asks for do",
    )
    allow_open: bool = Field(
        default=False, description="listen where other machines reach the service although it has no keys"
    )
    rate_limit_per_s: float | None = Field(
        default=None,
        gt=0.0,
        allow_inf_nan=False,
        description="calls a second of one key (without keys: of one address); default: no limit",
    )
    rate_limit_burst: int = Field(
        default=20, ge=1, description="calls that a caller which paused may make at once, beyond the rate"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="level of this service's own log"
    )

    dialects: Annotated[tuple[Dialect, ...], NoDecode, BeforeValidator(split_at_commas)] = Field(
        default=(),
        description="protocols of other trainers to serve too, separated by commas: flow_factory, unirl",
    )
    dialect_wait_s: float = Field(
        default=30.0,
        ge=0.0,
        allow_inf_nan=False,
        description="how long a call of a dialect may wait for room; less than its client's time-out",
    )
    otlp_endpoint: str | None = Field(
        default=None,
        min_length=1,
        description="where traces are sent (OTLP), vLLM's too; needs the extra otel",
    )

    # Limits of one request
    max_connections: int | None = Field(
        default=None,
        ge=1,
        description="connections at once; at the limit one that waits for a request makes room; default: "
        "8192, or as many as there are file descriptors for",
    )
    max_header_bytes: int = Field(default=64 * 2**10, ge=1024, description="largest headers of a request")
    header_timeout_s: float = Field(
        default=20.0, gt=0.0, allow_inf_nan=False, description="how long the headers may take to arrive"
    )
    unread_answer_s: float = Field(
        default=300.0,
        gt=0.0,
        allow_inf_nan=False,
        description="how long a caller may neither send nor take of its answer before it is left",
    )
    max_body_bytes: int = Field(default=256 * 2**20, ge=1024, description="largest request body")
    max_total_body_bytes: int = Field(
        default=2 * 2**30, ge=1024, description="request bodies held at once; more is memory_full"
    )
    max_picture_bytes: int = Field(
        default=4 * 2**30,
        ge=2**20,
        description="decoded pictures held at once, four bytes a pixel as the model is shown them; a call "
        "waits for its room, and is refused if that is more than all of it",
    )
    body_timeout_s: float = Field(
        default=60.0, gt=0.0, allow_inf_nan=False, description="how long a body may take to arrive"
    )
    max_image_bytes: int = Field(default=20 * 2**20, ge=1, description="largest encoded image")
    max_image_pixels: int = Field(default=40_000_000, ge=1, description="largest decoded image")
    max_image_side: int | None = Field(
        default=None, ge=28, description="longest side images are scaled down to; default: what rrm.json says"
    )
    pixel_budget: int | None = Field(
        default=None,
        ge=784,
        description="most pixels of an image, which is scaled down to them in its shape; default: what "
        "rrm.json says, or without one the model's processor, at most 1280 x 1280",
    )
    default_deadline_s: float = Field(
        default=600.0, gt=0.0, description="deadline of a call that names none, from its arrival"
    )

    # Admission and batching
    queue_capacity: int | None = Field(
        default=None,
        ge=1,
        description="jobs (candidates x samples) that may wait; more is queue_full; default: "
        f"{LEAST_QUEUE}, or four windows where that is more",
    )
    window: int | None = Field(
        default=None,
        ge=1,
        description="jobs in the engine at once; default: an eighth above the sequences of a step, so"
        " that one that ends is followed in the same step",
    )
    bulk_share: float = Field(
        default=0.1,
        ge=0.0,
        le=0.9,
        description="least share of job starts that the bulk lane gets while it waits",
    )
    caller_share: float | None = Field(
        default=None,
        gt=0.0,
        le=1.0,
        description="most of the queue that one caller may take (without keys: one address); default: "
        "three quarters where there are several keys, else all of it",
    )
    stream_spool_bytes: int = Field(
        default=2**30,
        ge=2**20,
        description="disk for the answers of one stream whose caller does not read them yet",
    )
    max_total_spool_bytes: int = Field(
        default=8 * 2**30,
        ge=2**20,
        description="the same over all streams, with what of it is in memory; streams read on as it is freed",
    )
    image_threads: int | None = Field(
        default=None,
        ge=1,
        description="threads that decode and check images; default: one a core, at least 2",
    )
    known_images_mib: float = Field(
        default=256.0,
        ge=0.0,
        description="memory for decoded images, so that a file that comes again (the source of a group in "
        "several calls) is not decoded again; 0 keeps none",
    )

    # Scoring
    judge: str | None = Field(
        default=None,
        description="who judges: a name (edit-rrm judges list) or a judge file; default: the model's own",
    )
    template_arguments: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="of the chat template, besides those of card and judge"
    )
    thinking: bool | None = Field(
        default=None,
        description="whether a judge that can thinks first where a call does not say; default: the judge's",
    )
    structured_output: bool = Field(
        default=True, description="hold judges that answer in JSON to their form, by the engine's grammar"
    )
    retries: int = Field(default=1, ge=0, le=5, description="further attempts at a text that does not parse")
    retry_temperature: float = Field(
        default=0.3,
        gt=0.0,
        le=2.0,
        description="least temperature of those attempts; greedy would repeat itself",
    )
    principle_cache_entries: int = Field(
        default=1024,
        ge=0,
        description="principle sets kept for further calls on the same source and instruction",
    )
    score_cache_mib: float = Field(
        default=64.0,
        ge=0.0,
        description="memory for finished scores of deterministic calls (temperature 0); 0 keeps none",
    )
    idempotent_answers_mib: float = Field(
        default=64.0,
        ge=0.0,
        description="memory for answers to calls with an Idempotency-Key; 0 keeps none, and joins what runs",
    )
    guards: GuardSettings = Field(
        default=GuardSettings(), description="thresholds of the image guards, and what they may do"
    )

    # Engine (passed on to vLLM)
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        default="auto",
        description="type of weights and activations; auto is float32 on a CPU, or bfloat16 where it must",
    )
    max_model_len: int | None = Field(
        default=None,
        ge=64,
        description="longest prompt plus trace in tokens; default: the checkpoint's, but at most "
        f"{LONGEST_DEFAULT_TOKENS}",
    )
    max_num_seqs: int | None = Field(
        default=None,
        ge=1,
        description=f"sequences vLLM runs in one step; default: {CPU_SEQUENCES} on a CPU, a vLLM server's "
        "own on a GPU",
    )
    tensor_parallel_size: int = Field(default=1, ge=1, description="devices that share each layer")
    pipeline_parallel_size: int = Field(default=1, ge=1, description="devices that share the stack of layers")
    data_parallel_size: int = Field(default=1, ge=1, description="whole copies of the model")
    front_end_workers: int | None = Field(
        default=None,
        ge=0,
        le=64,
        description="processes that prepare prompts for the engine and read its answers, beside this one; "
        "0: this one does both; default: one a copy of the model where there are several of those and four "
        "cores for each, else 0",
    )
    gpu_memory_utilization: float = Field(
        default=0.9, gt=0.0, le=1.0, description="share of a GPU's memory to take"
    )
    kv_cache_gib: float | None = Field(
        default=None, gt=0.0, description="size of the KV cache; default: 1 on a CPU, what is left on a GPU"
    )
    image_cache_gib: float = Field(
        default=1.0, ge=0.0, description="memory for preprocessed images; of a fleet: for encoded ones"
    )
    enforce_eager: bool | None = Field(
        default=None, description="run without compiled graphs; default: true on a CPU, false on a GPU"
    )
    batch_invariant: bool = Field(
        default=False,
        description="vLLM answers a prompt alike to the bit, whatever else it runs (VLLM_BATCH_INVARIANT): "
        "slower, on GPUs only",
    )
    forkserver: bool | None = Field(
        default=None,
        description="import vLLM for the engine process meanwhile; default: only for one replica on a CPU",
    )
    engine_args: Annotated[dict[str, Any], BeforeValidator(read_engine_args)] = Field(
        default={},
        description="further arguments of vLLM by their names in Python, for what no setting here says: a "
        "table, as a variable JSON, or --set engine_args.NAME=VALUE",
    )

    # When the engine dies
    engine_hang_s: float = Field(
        default=300.0,
        ge=1.0,
        description="an engine that has prompts and ends no step for so long hangs: it is killed and "
        "restarted; more for one whose steps are that slow, inf for never",
    )
    quarantine_s: float = Field(
        default=3600.0,
        ge=0.0,
        allow_inf_nan=False,
        description="how long a prompt is refused that the engine has died of, and one that was in it at a "
        "death is suspected; 0 never does",
    )
    engine_restart_limit: int = Field(
        default=5,
        ge=0,
        description="failures of the engine in a row before the service ends; 0 ends it at the first death",
    )
    engine_restart_backoff_s: float = Field(
        default=1.0,
        ge=0.0,
        le=60.0,
        description="delay before the engine is restarted; doubled after every failure, up to a minute",
    )

    # The end
    drain_timeout_s: float = Field(
        default=60.0, ge=0.0, description="how long running calls may take to finish after SIGTERM"
    )

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if self.max_total_body_bytes < self.max_body_bytes:
            raise ValueError(
                f"max_total_body_bytes is {self.max_total_body_bytes}, "
                f"less than max_body_bytes ({self.max_body_bytes})"
            )
        if self.rate_limit_per_s is None and "rate_limit_burst" in self.model_fields_set:
            raise ValueError("rate_limit_burst has no effect without rate_limit_per_s")
        if not self.dialects and "dialect_wait_s" in self.model_fields_set:
            raise ValueError("dialect_wait_s has no effect without dialects")
        if self.adapters and self.engine == "openai":
            raise ValueError("adapters are loaded by vLLM here; a fleet serves each of its own as a model")
        if len(set(self.dialects)) < len(self.dialects):
            raise ValueError("dialects names one twice")
        return self

    @model_validator(mode="after")
    def _check_exposure(self) -> Self:
        """Reads the key file, whose keys are the service's from here on."""
        keys = self.all_keys
        if self.metrics_need_key and not keys:
            raise ValueError("metrics_need_key has no effect without api_keys or api_keys_file")
        if not keys and not self.allow_open and not is_loopback(self.host):
            raise ValueError(
                f"host {self.host!r} can be reached from other machines and no key is set: "
                "set EDIT_RRM_API_KEYS or EDIT_RRM_API_KEYS_FILE, or listen on 127.0.0.1, "
                "or say with --allow-open that anyone may call"
            )
        return self

    @property
    def engine_window(self) -> int:
        """`window_for` an engine of which nothing is known yet."""
        return self.window_for(self.max_num_seqs or CPU_SEQUENCES)

    def window_for(self, sequences: int) -> int:
        """`window`, or what follows from the sequences the engine runs in one step."""
        return self.window or sequences + sequences // 8

    def front_ends(self) -> int:
        """`front_end_workers`, or what follows from the copies of the model and the cores to run on."""
        if self.front_end_workers is not None:
            return self.front_end_workers
        copies = self.data_parallel_size
        return copies if copies > 1 and len(os.sched_getaffinity(0)) >= 4 * copies else 0

    def capacity_for(self, window: int) -> int:
        """`queue_capacity`, or what follows from the jobs in the engine at once."""
        return self.queue_capacity or max(LEAST_QUEUE, 4 * window)

    @cached_property
    def all_keys(self) -> tuple[KeyOwner, ...]:
        """The keys that may call, from the setting and from the file, which is read once."""
        from_file = () if self.api_keys_file is None else read_keys_file(self.api_keys_file)
        given = (KeyOwner(key=key, name=f"api-key-{place}") for place, key in enumerate(self.api_keys, 1))
        return (*given, *from_file)

    @property
    def part_of_a_caller(self) -> float:
        """`caller_share`, or what follows from the number of keys."""
        several = len(self.all_keys) > 1
        return self.caller_share or (SHARE_OF_SEVERAL if several else 1.0)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only arguments and the environment; `load_settings` adds the file below them."""
        return init_settings, env_settings


def variable_of(name: str) -> str:
    """The environment variable of a setting by its dotted name."""
    return ENV_PREFIX + name.upper().replace(".", "__")


def load_settings(overrides: Mapping[str, Any], file: Path | None = None) -> ServerSettings:
    """Settings from the command line's `overrides`, the environment and `file`, in this order of precedence.

    A dotted name reaches into a table, which is put together from all three.
    Raises SettingsFileError for an unreadable file or an unknown variable, pydantic.ValidationError for
    an unknown name or a value that does not fit.
    """
    _refuse_unknown_variables()
    from_file = {} if file is None else read_settings_file(file)
    values = _below_environment(from_file, ENV_PREFIX)
    for name, value in overrides.items():
        put(values, name, value)
    try:
        return ServerSettings(**values)
    except SettingsError as error:  # a variable of a table that is no JSON
        raise SettingsFileError(f"{ENV_PREFIX}…: {error}: expected JSON") from error


def _below_environment(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """What no variable says; one for a table goes before all of it, one into it before that value alone."""
    variables = {key.upper() for key in os.environ}
    left = {}
    for name, value in values.items():
        variable = (prefix + name).upper()
        if variable in variables:
            continue
        inner = isinstance(value, Mapping) and any(key.startswith(variable + "__") for key in variables)
        left[name] = _below_environment(value, f"{variable}__") if inner else value
    return left


def _refuse_unknown_variables() -> None:
    known = {(ENV_PREFIX + name).upper() for name in ServerSettings.model_fields} | _CLIENT_VARIABLES
    for variable in os.environ:
        upper = variable.upper()
        if upper.startswith(ENV_PREFIX) and upper.split("__")[0] not in known:
            raise SettingsFileError(
                f"the environment variable {variable} is no setting of edit-rrm-server"
                f"{did_you_mean(upper, known)}"
            )
