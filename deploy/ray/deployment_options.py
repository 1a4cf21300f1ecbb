"""What an operator decides about the service on a Ray cluster: the `args` of an application in serve.yaml.

Knows neither Ray nor vLLM. What concerns one replica is in `settings`, by the names of ServerSettings.
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edit_rrm_server.settings.server import ServerSettings

_FIXED = {
    # Whoever reaches Ray's proxy reaches the service: as on any open address it wants keys, or allow_open.
    "host": "0.0.0.0",
    # A dead engine is replaced together with its replica; two supervisors would get in each other's way.
    "engine_restart_limit": 0,
    # A worker of Ray has threads and sockets already, which a fork server must not be started beside.
    "forkserver": False,
}
# Ray's proxy has the port, and a replica's own port for its metrics asks for no key. Weights are replaced by
# a rolling update: a reload would reach one replica. A replica has its vLLM inside.
_WITHOUT_EFFECT = {"port", "metrics_need_key", "reload_root", "engine"}
_ENGINE_END_S = 30.0


class DeploymentOptions(BaseModel):
    """See the module."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: dict[str, Any] = Field(default={}, description="settings of edit-rrm-server, by name")
    weights_digest: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{12}$",
        description="what the checkpoint must be; a replica that loads anything else does not start",
    )
    min_replicas: int = Field(default=1, ge=1, description="replicas that are always there")
    max_replicas: int = Field(default=1, ge=1, description="replicas at most")
    target_calls: float = Field(
        default=4.0, gt=0.0, description="running calls a replica by which replicas are added and taken away"
    )
    max_calls: int = Field(
        default=256, ge=1, description="calls a replica is given at once; its own queue decides before that"
    )
    cpus: float = Field(default=1.0, gt=0.0, description="CPU cores of a replica")
    gpus: float = Field(default=0.0, ge=0.0, description="GPUs of a replica")
    surge_percent: int = Field(
        default=0,
        ge=0,
        le=100,
        description="replicas beyond the wanted number during an update; 0 needs no spare GPU, but ends an "
        "old replica before its successor is ready",
    )

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        named = self.settings.keys() & (_FIXED.keys() | _WITHOUT_EFFECT)
        if named:
            raise ValueError(f"{', '.join(sorted(named))} cannot be set on Ray")
        self.server_settings()
        return self

    def server_settings(self) -> ServerSettings:
        """The settings of each replica. Raises pydantic.ValidationError for what is no setting."""
        return ServerSettings(**{**self.settings, **_FIXED})

    def serve_options(self) -> dict[str, Any]:
        """The options of Ray Serve's deployment."""
        return {
            "max_ongoing_requests": self.max_calls,
            "autoscaling_config": {
                "min_replicas": self.min_replicas,
                "max_replicas": self.max_replicas,
                "target_ongoing_requests": self.target_calls,
            },
            "ray_actor_options": {"num_cpus": self.cpus, "num_gpus": self.gpus},
            "health_check_period_s": 5.0,
            "health_check_timeout_s": 30.0,
            # Ray stops giving a replica calls, waits for the running ones, then ends it.
            "graceful_shutdown_timeout_s": self.server_settings().drain_timeout_s + _ENGINE_END_S,
            "max_surge_percent": self.surge_percent,
            # A checkpoint that cannot be loaded, or is another one than meant, will not change by itself.
            "max_constructor_retry_count": 3,
        }
