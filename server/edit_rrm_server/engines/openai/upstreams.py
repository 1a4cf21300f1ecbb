"""The upstreams of a fleet: which are up and serve the model, what each has to do, which is next.

Each is asked for its models every few seconds; an attempt that finds one broken takes it out at once.
It knows nothing of prompts and answers.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from edit_rrm_server.engines.affinity import Affinity
from edit_rrm_server.engines.openai.upstream_errors import UpstreamError, none_up
from edit_rrm_server.observe.fleet_metrics import FleetMetrics

CHECK_TIMEOUT_S = 5.0
CHECKS_TO_BE_DOWN = 2
"""Checks in a row that an upstream does not answer. One may be late for want of a processor."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReportedModel:
    """A model as an upstream names it; `max_model_len` in tokens where it says so."""

    id: str
    max_model_len: int | None = None


@dataclass(eq=False)
class Upstream:
    """One server of the OpenAI API; `url` ends before `/chat/completions`."""

    url: str
    up: bool = False
    outstanding: int = 0
    trouble: str = "it was not asked yet"
    unanswered: int = 0
    """Checks in a row."""
    models: Sequence[ReportedModel] = field(default_factory=tuple)

    @property
    def name(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc


class Upstreams:
    """See the module. `model`, once it is known, must be served by an upstream that counts as up."""

    def __init__(
        self, urls: Sequence[str], http: httpx.AsyncClient, affinity: Affinity, metrics: FleetMetrics
    ) -> None:
        self.all = tuple(Upstream(url) for url in urls)
        self.model: str | None = None
        self._http = http
        self._affinity = affinity
        self._metrics = metrics
        for upstream in self.all:
            metrics.upstream_up(upstream.name, False)

    @property
    def any_up(self) -> bool:
        """Whether a prompt could be taken."""
        return any(upstream.up for upstream in self.all)

    @contextmanager
    def use(self, group: str, avoid: Collection[Upstream] = ()) -> Iterator[Upstream]:
        """The upstream for a prompt, which counts as outstanding there inside the block.

        One of `avoid` is taken only where no other is up. An UpstreamError that leaves the block is noted.
        Raises UpstreamError when none is up.
        """
        up = [upstream for upstream in self.all if upstream.up]
        usable = {u.url: u for u in up if u not in avoid} or {u.url: u for u in up}
        if not usable:
            raise UpstreamError(none_up())
        chosen = self._affinity.choose(group, {url: u.outstanding for url, u in usable.items()})
        upstream = usable[chosen]
        self._count(upstream, 1)
        try:
            yield upstream
        except UpstreamError as failure:
            self._metrics.attempt_failed(upstream.name, failure.error.code)
            if failure.down:
                self._set(upstream, f"a prompt failed: {failure}")
            raise
        finally:
            self._count(upstream, -1)

    async def check(self) -> None:
        """Asks all of them for their models."""
        await asyncio.gather(*(self._check(upstream) for upstream in self.all))

    async def wait_until_up(self, interval_s: float, on_none: Callable[[], object] = lambda: None) -> None:
        """Checks until one of them is up; `on_none` is told each time that none is."""
        await self.check()
        while not self.any_up:
            on_none()
            await asyncio.sleep(interval_s)
            await self.check()

    async def watch(self, interval_s: float) -> None:
        """Checks for ever."""
        while True:
            await asyncio.sleep(interval_s)
            await self.check()

    async def _check(self, upstream: Upstream) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                answer = await self._http.get(f"{upstream.url}/models")
            upstream.unanswered = 0
            if answer.status_code != 200:
                self._set(upstream, f"it answered with status {answer.status_code} to GET /models")
                return
            upstream.models = _models(answer.content)
        except httpx.ConnectError as error:
            self._set(upstream, type(error).__name__)
        except (httpx.HTTPError, TimeoutError) as error:
            upstream.unanswered += 1
            if not upstream.up or upstream.unanswered >= CHECKS_TO_BE_DOWN:
                self._set(upstream, type(error).__name__)
        except (ValueError, KeyError, TypeError):
            self._set(upstream, "its answer to GET /models is no list of models")
        else:
            served = [model.id for model in upstream.models]
            missing = self.model is not None and self.model not in served
            self._set(upstream, f"it serves {served}, not {self.model!r}" if missing else "")

    def _set(self, upstream: Upstream, trouble: str) -> None:
        if trouble != upstream.trouble:
            level = logging.WARNING if trouble else logging.INFO
            logger.log(level, "upstream %s is %s", upstream.name, f"down: {trouble}" if trouble else "up")
        upstream.trouble = trouble
        upstream.up = not trouble
        self._metrics.upstream_up(upstream.name, upstream.up)

    def _count(self, upstream: Upstream, change: int) -> None:
        upstream.outstanding += change
        self._metrics.upstream_outstanding(upstream.name, upstream.outstanding)


def _models(body: bytes) -> tuple[ReportedModel, ...]:
    answer: Mapping[str, Any] = json.loads(body)
    return tuple(ReportedModel(str(m["id"]), _length(m.get("max_model_len"))) for m in answer["data"])


def _length(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
