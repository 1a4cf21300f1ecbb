"""The service as a Ray Serve application: `reward_app:build` in serve.yaml, replicas with vLLM inside.

`serve deploy deploy/ray/serve.yaml`, with deploy/ray on PYTHONPATH of the cluster's workers.
"""

import logging
from pathlib import Path
from typing import Any

import ray
from deployment_options import DeploymentOptions
from fastapi import FastAPI
from ray import serve
from ray.serve import Application
from ray.serve.config import RequestRouterConfig
from replica import Replica
from replica_metrics import MetricsServer, TargetList

from edit_rrm_server.engines.loaded_model import LoadedModel

logger = logging.getLogger(__name__)

_ROUTER = RequestRouterConfig(request_router_class="group_router:GroupRouter")
_TARGETS_PATH = "/metrics/targets"  # needs a key where there are keys, as every path but /metrics itself


@serve.ingress()
class RewardReplica:
    """What Ray runs on a worker."""

    async def __init__(self, options: DeploymentOptions) -> None:
        from edit_rrm_server.engines.vllm.loading import load_vllm_model
        from edit_rrm_server.engines.vllm.start import prepare_environment
        from edit_rrm_server.scoring.warm_up import warm_up

        settings = options.server_settings()
        prepare_environment(settings)

        async def load(checkpoint: Path) -> LoadedModel:
            chosen = settings.model_copy(update={"model": checkpoint})
            return await load_vllm_model(chosen, logger.info, warm_up)

        name = serve.get_replica_context().replica_id.unique_id
        self._replica = Replica(name, settings, load, options.weights_digest)
        self._metrics = MetricsServer(ray.util.get_node_ip_address(), self._replica.exposition)
        self._targets = (  # detached: it outlives the replica that happened to make it
            ray.remote(TargetList)
            .options(
                name="edit-rrm-targets",
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                max_restarts=-1,
            )
            .remote()
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Asked by Ray once the replica is made; starts and stops the service with its lifespan."""
        app = self._replica.app()
        app.add_api_route(_TARGETS_PATH, self._list_targets, include_in_schema=False)
        return app

    async def check_health(self) -> None:
        """Asked by Ray. See `Replica.check_health`."""
        await self._replica.check_health()
        self._targets.seen.remote(self._replica.name, self._metrics.address)  # whatever comes of it

    async def _list_targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._targets.targets.remote()
        return found


def build(args: DeploymentOptions) -> Application:
    """The application. Raises pydantic.ValidationError for unknown or unfit arguments."""
    deployment = serve.deployment(name="edit-rrm", request_router_config=_ROUTER, **args.serve_options())(
        RewardReplica
    )
    return deployment.bind(args)
