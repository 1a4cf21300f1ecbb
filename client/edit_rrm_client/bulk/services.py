"""The services behind a job: clients for bulk work, and the one checkpoint that all of them must serve."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import httpx
from pydantic import BaseModel, ConfigDict, Field

from edit_rrm_client import AsyncRewardClient, RetryPolicy
from edit_rrm_client._network import connections_to
from edit_rrm_client.bulk.errors import ModelChangedError
from edit_rrm_client.bulk.window import Width
from edit_rrm_client.errors import EditRRMClientError, InvalidRequestError, UnavailableError

PROBE_TIMEOUT_S = 30.0
_CALLS = 8
_EDITS_A_SERVICE = 64  # what fills the window of an engine on a CPU


class Services(BaseModel):
    """Where the services are and how persistently they are asked."""

    model_config = ConfigDict(frozen=True)

    urls: tuple[str, ...]
    api_key: str | None = Field(default=None, repr=False)
    timeout_s: float = 600.0
    """Of one call with all its retries: how long a service may be away before the job ends."""
    concurrency: int | None = None
    """Calls on the wire at once; None: eight, and more while they hold fewer than 64 edits a service."""

    @property
    def width(self) -> Width:
        """What that comes to."""
        if self.concurrency is not None:
            return Width(self.concurrency)
        return Width(_CALLS, _EDITS_A_SERVICE * len(self.urls))

    @asynccontextmanager
    async def client(self, first: int = 0) -> AsyncGenerator[AsyncRewardClient, None]:
        """A client for all services that asks the `first` one first; equals take turns from there."""
        turn = first % len(self.urls)
        most = max(self.width.calls, self.width.edits)
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
        async with (
            connections_to(httpx.AsyncClient, self.urls, limits=limits) as http,
            AsyncRewardClient(
                self.urls[turn:] + self.urls[:turn],
                api_key=self.api_key,
                timeout_s=self.timeout_s,
                retries=RetryPolicy(attempts=100),  # the time-out ends them; the backoff grows to 20 s
                http_client=http,
            ) as client,
        ):
            yield client


async def served_model(
    services: Services,
    wanted: str | None = None,
    on_wait: Callable[[EditRRMClientError], None] = lambda _: None,
) -> str:
    """What the scores will be of: the services' model of that name, or their first.

    None is waited for while another answers. Where none does, `on_wait` is told why, once, and the first that
    can score within `timeout_s` is taken.
    Raises InvalidRequestError where none of that name is served, ModelChangedError when the services differ,
    UnavailableError when none of them answers in time.
    """
    served, away = await _served(services, wanted)
    if not served:
        on_wait(away[0])
        async with services.client() as client:
            await client.wait_until_ready(services.timeout_s)
        served, away = await _served(services, wanted)
    if not served:
        raise away[0]
    if len(set(served.values())) > 1:
        differing = ", ".join(f"{url} serves {model}" for url, model in served.items())
        raise ModelChangedError(f"scores of different reward models cannot be one file: {differing}")
    return next(iter(served.values()))


async def _served(services: Services, wanted: str | None) -> tuple[dict[str, str], list[EditRRMClientError]]:
    """The model at each address that answers, and what the others say."""
    served: dict[str, str] = {}
    away: list[EditRRMClientError] = []
    for url in services.urls:
        try:
            served[url] = await _model_at(url, services.api_key, wanted)
        except UnavailableError as error:
            away.append(error)
    return served, away


async def _model_at(url: str, api_key: str | None, wanted: str | None) -> str:
    async with AsyncRewardClient(
        url, api_key=api_key, timeout_s=PROBE_TIMEOUT_S, retries=RetryPolicy(attempts=3)
    ) as client:
        served = await client.models()
    model = served.named(wanted)
    if model is None:
        there = ", ".join(model.reported for model in served.models)
        raise InvalidRequestError(f"{url} serves no model {wanted!r}; there is {there}")
    return model.reported


def checked_model(before: str | None, served: str) -> str:
    """`served`, if it is the one that scored `before`. Raises ModelChangedError."""
    if before is not None and before != served:
        raise ModelChangedError(
            f"the recorded scores are of {before}, the service is now {served}; serve that checkpoint again, "
            "score everything anew with --restart, or choose another output"
        )
    return served
