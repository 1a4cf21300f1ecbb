"""One replica: the service with its engine, from its start to its end. Knows nothing of Ray.

Ray asks `check_health` once before a replica gets its first call, and every few seconds from then on.
"""

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edit_rrm_server.api.app import create_app
from edit_rrm_server.life.service import Loader, Service
from edit_rrm_server.settings.server import ServerSettings

REPLICA_HEADER = "X-Edit-RRM-Replica"


class UnhealthyError(RuntimeError):
    """The replica cannot score, and will not by itself."""


class Replica:
    """See the module. `weights_digest` is what must be loaded; None takes whatever is there."""

    def __init__(
        self,
        name: str,
        settings: ServerSettings,
        load: Loader,
        weights_digest: str | None,
    ) -> None:
        self.name = name
        self._service = Service(settings, load)
        self._weights_digest = weights_digest

    def app(self) -> FastAPI:
        """The service's application; every answer names the replica."""
        app = create_app(self._service)
        app.add_middleware(_NamesReplica, name=self.name)
        return app

    def exposition(self) -> bytes:
        """The replica's metrics as Prometheus text."""
        return self._service.metrics.exposition()

    async def check_health(self) -> None:
        """Waits for the model. Raises UnhealthyError if it is another one, or nothing can be scored."""
        await self._service.load_ended.wait()
        if self._service.state in ("engine_dead", "failed"):
            raise UnhealthyError(f"{self.name} is {self._service.state}: {self._service.failure}")
        loaded = self._service.model.weights_digest
        if self._weights_digest not in (None, loaded):
            raise UnhealthyError(f"expected weights {self._weights_digest}, the checkpoint is {loaded}")


class _NamesReplica:
    """Adds the header by which a caller can tell replicas apart."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REPLICA_HEADER] = self._name
            await send(message)

        await self._app(scope, receive, named)
