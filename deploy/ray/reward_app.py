"""The service as a Ray Serve application: `reward_app:build` in serve.yaml, replicas with vLLM inside.

`serve deploy deploy/ray/serve.yaml`, with deploy/ray on PYTHONPATH of the cluster's workers.
"""

import logging

from deployment_options import DeploymentOptions
from fastapi import FastAPI
from ray import serve
from ray.serve import Application
from ray.serve.config import RequestRouterConfig
from replica import Replica

from edit_rrm_server.service import LoadedModel

logger = logging.getLogger(__name__)

_ROUTER = RequestRouterConfig(request_router_class="group_router:GroupRouter")


@serve.ingress()
class RewardReplica:
    """What Ray runs on a worker."""

    async def __init__(self, options: DeploymentOptions) -> None:
        from edit_rrm_server.vllm_engine import load_vllm_model
        from edit_rrm_server.vllm_start import prepare_environment

        settings = options.server_settings()
        prepare_environment(settings)

        async def load() -> LoadedModel:
            return await load_vllm_model(settings, logger.info)

        name = serve.get_replica_context().replica_id.unique_id
        self._replica = Replica(name, settings, load, options.weights_digest)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Asked by Ray once the replica is made; starts and stops the service with its lifespan."""
        return self._replica.app()

    async def check_health(self) -> None:
        """Asked by Ray. See `Replica.check_health`."""
        await self._replica.check_health()


def build(args: DeploymentOptions) -> Application:
    """The application. Raises pydantic.ValidationError for unknown or unfit arguments."""
    deployment = serve.deployment(name="edit-rrm", request_router_config=_ROUTER, **args.serve_options())(
        RewardReplica
    )
    return deployment.bind(args)
