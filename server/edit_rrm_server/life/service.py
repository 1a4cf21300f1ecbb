"""The running service: its state, the loaded model, and what every route shares.

States: loading → ready → draining; loading again while the weights are replaced, engine_dead from the
engine's death until it is restarted, failed when the model could not be loaded or the engine not be kept up.
The HTTP socket is open in all of them.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol, get_args

from edit_rrm.errors import EditRRMError
from edit_rrm.image_scale import ImageScale, smaller
from edit_rrm.images import ImageLimits
from edit_rrm_server.admission.batching import Batcher
from edit_rrm_server.admission.byte_budget import ByteBudget
from edit_rrm_server.admission.callers import TokenAllowances
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.engines.quarantine import Quarantine
from edit_rrm_server.engines.watched_engine import DEAD_RETRY_S, WatchedEngine, engine_dead
from edit_rrm_server.errors import RequestRefusedError, ServiceError, UnavailableError
from edit_rrm_server.life.reloading import DRAINING_RETRY_S, Reloaded, Reloader
from edit_rrm_server.life.supervision import RestartPolicy, Supervisor
from edit_rrm_server.observe.metrics import ServiceMetrics
from edit_rrm_server.scoring.decomposition import Decomposer, PrincipleCache
from edit_rrm_server.scoring.image_intake import ImageIntake, image_threads
from edit_rrm_server.scoring.reward_service import RewardService
from edit_rrm_server.scoring.sampling import Attempts
from edit_rrm_server.scoring.score_cache import ScoreCache
from edit_rrm_server.scoring.turns import Turns
from edit_rrm_server.scoring.verifying import Verifier
from edit_rrm_server.settings.server import ServerSettings

State = Literal["loading", "ready", "draining", "engine_dead", "failed"]

logger = logging.getLogger(__name__)

# What no family's processor refuses, and no judge can make anything of below: Qwen2.5-VL ends at 1:200.
_MIN_SIDE, _MAX_ASPECT = 8, 100.0  # pixels at the judged size; the longer side / the shorter one
_LOADING_RETRY_S = 5.0


Loader = Callable[[Path], Awaitable[LoadedModel]]


class Clearable(Protocol):
    """A cache of what a model said."""

    def clear(self) -> None:
        """Forgets everything."""
        ...


class Service:
    """See the module. `load` brings a checkpoint up: after `start`, whenever the engine has died, to reload.

    `load_ended` is set once the first load is over, `failed` once the state is failed.
    """

    def __init__(self, settings: ServerSettings, load: Loader) -> None:
        self.settings = settings
        self.started_at = time.monotonic()
        self.metrics = ServiceMetrics(lambda: self._model is not None and self._model.engine.alive)
        self.batcher = Batcher(
            settings.capacity_for(settings.engine_window),
            settings.engine_window,
            settings.bulk_share,
            self.metrics.admission,
            settings.part_of_a_caller,
        )
        self.allowances = TokenAllowances()
        admitted, share = self.metrics.admission, settings.bulk_share
        self.body_budget = ByteBudget("bodies", settings.max_total_body_bytes, admitted, bulk_share=share)
        self.picture_budget = ByteBudget("pictures", settings.max_picture_bytes, admitted, bulk_share=share)
        self.answer_budget = ByteBudget("answers", settings.max_total_spool_bytes, admitted, bulk_share=share)
        for budget in (self.body_budget, self.picture_budget, self.answer_budget):
            admitted.watch_held(budget.resource, budget.capacity_bytes, lambda held=budget: held.held_bytes)  # type: ignore[misc]
        self.intake = ImageIntake(
            settings.guards,
            settings.image_threads or image_threads(),
            int(settings.known_images_mib * 2**20),
            keep_files=settings.engine == "openai",
        )
        self.score_cache = ScoreCache(int(settings.score_cache_mib * 2**20))
        batcher, cache = self.batcher, self.score_cache
        self.metrics.admission.watch_queue(lambda lane: batcher.waiting_by_lane[lane], batcher.oldest_wait_s)
        self.metrics.scoring.watch_score_cache(lambda: cache.size_bytes)
        self.metrics.life.watch_state(lambda: self.state, get_args(State))
        self.metrics.life.watch_prefix_reuse(self._least_reuse)
        self.principle_cache = PrincipleCache(settings.principle_cache_entries)
        # A fleet's engines are its own: one that does not answer says nothing of a prompt.
        lasts_s = settings.quarantine_s if settings.engine == "vllm" else 0.0
        self.quarantine = Quarantine(lasts_s, self.metrics.life.prompt_quarantined)
        # Emptied when other weights are loaded.
        self.caches: list[Clearable] = [self.score_cache, self.principle_cache, self.quarantine]
        self.failure: BaseException | None = None
        self.engine_away = False
        """Whether what is loaded waits for an engine elsewhere: a fleet of which nothing is up."""
        self.load_ended = asyncio.Event()
        self.failed = asyncio.Event()
        self.checkpoint = settings.model
        self._load = load
        self._reloader = Reloader(self, settings.drain_timeout_s, self.metrics.life)
        self._supervisor = Supervisor(
            RestartPolicy(settings.engine_restart_limit, settings.engine_restart_backoff_s),
            bring_up=lambda: self.bring_up(self.checkpoint),
            on_death=self._engine_died,
            metrics=self.metrics.life,
        )
        self._running: asyncio.Task[None] | None = None
        self._model: LoadedModel | None = None
        self._rewards: tuple[RewardService, ...] = ()
        self._draining = False
        self._active_calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def state(self) -> State:
        """The state now; a dead engine is noticed here."""
        if self._draining:
            return "draining"
        if self.failure is not None:
            return "failed"
        if self._model is None and self.engine_away:
            return "engine_dead"
        if self._model is None or self._reloader.busy:
            return "loading"
        return "ready" if self._model.engine.alive else "engine_dead"

    @property
    def model(self) -> LoadedModel:
        """The loaded model. Raises UnavailableError while there is none."""
        if self._model is None:
            raise self._unavailable("engine_dead" if self.engine_away else "loading")
        return self._model

    @property
    def active_calls(self) -> int:
        """Calls being served."""
        return self._active_calls

    def rewards(self, wanted: str | None = None) -> RewardService:
        """The reward service of a model, the first for None, if a score could run now.

        `wanted` is `name`, `name@digest` or all that is reported with a score. Raises UnavailableError, and
        RequestRefusedError (unknown_model) naming those there are.
        """
        state = self.state
        if state != "ready":
            raise self._unavailable(state)
        for model, rewards in zip(self.model.all, self._rewards, strict=True):
            if wanted is None or wanted in model.names:
                return rewards
        served = ", ".join(model.name for model in self.model.all)
        raise RequestRefusedError("unknown_model", f"model: {wanted!r} is not served here; there is {served}")

    def call(self) -> "_ActiveCall":
        """A context in which a call counts as running: draining waits for it."""
        return _ActiveCall(self)

    def start(self) -> None:
        """Begins to load the model; from then on it is kept up."""
        self.metrics.life.watch_tasks(asyncio.get_running_loop())
        self._running = asyncio.create_task(self._run(self._first_load))

    async def drain(self, timeout_s: float) -> bool:
        """Takes no further calls and waits for the running ones; False if some outlast `timeout_s`.

        A reload is given up: nobody will ask the weights that it would bring.
        """
        self._draining = True
        self._supervisor.retire()
        await self._reloader.cancel()
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Ends the engine and the image threads."""
        self._draining = True
        await self._reloader.cancel()
        await self.let_go()
        self.intake.close()

    async def reload(self, checkpoint: Path) -> Reloaded:
        """Replaces the weights (reloading.py). Raises ServiceError; what serves then serves on."""
        state = self.state
        if not self._reloader.busy and state not in ("ready", "engine_dead"):
            raise self._unavailable(state)
        return await self._reloader.reload(checkpoint)

    async def drained(self) -> None:
        """For reloading."""
        await self.batcher.drained()

    async def let_go(self) -> None:
        """For reloading: ends the engine and its supervision."""
        if self._running is not None and not self._running.done():
            self._running.cancel()
            await asyncio.wait([self._running])
        if self._model is not None:
            await self._model.engine.stop()

    def keep_up(self, engine: WatchedEngine | None) -> None:
        """For reloading: supervises an engine; None brings one up first, as after a death."""
        self._running = asyncio.create_task(self._run(lambda: self._supervisor.run(engine)))

    async def _first_load(self) -> None:
        engine = await self.bring_up(self.checkpoint)
        self.load_ended.set()
        await self._supervisor.run(engine)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Loads and supervises, as long as that can be done."""
        try:
            await work()
        except Exception as error:  # shown by whoever started the service; the probes say `failed`
            self.failure = error
            self.load_ended.set()
            self.failed.set()
            expected = isinstance(error, EditRRMError | ServiceError)
            logger.error("the model is not served: %s", error, exc_info=None if expected else error)

    async def bring_up(self, checkpoint: Path) -> WatchedEngine:
        """Loads a checkpoint and serves it from now on.

        What the process holds by then stays, a million objects of libraries: the garbage collector is told to
        look at them no more, which took it a tenth of a second every few calls.
        """
        gc.unfreeze()  # what another model has left is garbage
        model = await self._load(checkpoint)
        gc.collect()
        gc.freeze()
        engine = WatchedEngine(model.engine, self.settings.engine_hang_s)
        known = self._model
        if known is not None and _identity(known) != _identity(model):
            self._weights_changed()
        self.checkpoint = checkpoint
        further = tuple(replace(one, engine=engine) for one in model.further)
        self._serve(replace(model, engine=engine, further=further))
        return engine

    def _engine_died(self) -> None:
        self.quarantine.engine_died()
        self.batcher.fail_waiting(engine_dead)

    def _least_reuse(self) -> float | None:
        reuse = [model.prefix_reuse for model in (self._model.all if self._model else ())]
        return min((share for share in reuse if share is not None), default=None)

    def _weights_changed(self) -> None:
        """What the model said before is no longer what it would say."""
        for cache in self.caches:
            cache.clear()

    def _serve(self, model: LoadedModel) -> None:
        self._model = model
        if model.sequences is not None:
            self.batcher.window = self.settings.window_for(model.sequences)
            self.batcher.capacity = self.settings.capacity_for(self.batcher.window)
        logger.info(
            "%d jobs in the engine at once, %d may wait; %d image threads",
            self.batcher.window, self.batcher.capacity, self.intake.threads,
        )  # fmt: skip
        self._rewards = tuple(self._rewards_of(one) for one in model.all)

    def _rewards_of(self, model: LoadedModel) -> RewardService:
        judge = model.judge
        attempts = Attempts(self.settings.retries, self.settings.retry_temperature, model.max_model_len)
        template_arguments = {**model.card.template_arguments, **self.settings.template_arguments}
        turns = Turns(model.engine, self.quarantine, self.metrics.scoring, self.allowances, model.adapter)
        decomposer = Decomposer(
            turns,
            judge,
            self.batcher,
            attempts,
            self.metrics.scoring,
            weights_digest=model.weights_digest,
            cache=self.principle_cache,
            template_arguments=template_arguments,
        )
        verifier = Verifier(turns, judge, attempts, self.metrics.scoring, template_arguments)
        return RewardService(
            model.card,
            judge,
            model.name,
            verifier,
            decomposer,
            self.intake,
            self.picture_budget,
            self.limits(model),
            self.score_cache,
            self.metrics.scoring,
            structured=self.settings.structured_output,
            thinking_by_default=self.settings.thinking,
            guards=self.settings.guards.modes,
        )

    def limits(self, model: LoadedModel) -> ImageLimits:
        """What is accepted of images, and how large this model is shown them."""
        settings, pictures = self.settings, model.judge.pictures
        card = model.card.scale
        scale = ImageScale(
            settings.max_image_side or smaller(pictures.max_side, card.max_side),
            settings.pixel_budget or smaller(pictures.pixel_budget, card.pixel_budget),
            card.patch,
        )
        return ImageLimits(
            settings.max_image_bytes,
            settings.max_image_pixels,
            scale,
            min_side=_MIN_SIDE,
            max_aspect=_MAX_ASPECT,
        )

    def _unavailable(self, state: State) -> UnavailableError:
        match state:
            case "draining":
                return UnavailableError("draining", "the service is shutting down", DRAINING_RETRY_S)
            case "engine_dead" if self._model is None:
                return UnavailableError("engine_dead", "no upstream of the fleet answers yet", DEAD_RETRY_S)
            case "engine_dead":
                return engine_dead()
            case "failed":
                return UnavailableError("engine_dead", "the service ends: it has no engine", DEAD_RETRY_S)
            case _:
                return UnavailableError("loading", "the model is being loaded", _LOADING_RETRY_S)

    def _call_began(self) -> None:
        self._active_calls += 1
        self._idle.clear()

    def _call_ended(self) -> None:
        self._active_calls -= 1
        if self._active_calls == 0:
            self._idle.set()


def _identity(model: LoadedModel) -> tuple[object, ...]:
    """What decides what a model says."""
    return tuple((one.name, one.judge_name, one.card) for one in model.all)


class _ActiveCall:
    def __init__(self, service: Service) -> None:
        self._service = service

    def __enter__(self) -> None:
        self._service._call_began()

    def __exit__(self, *_: object) -> None:
        self._service._call_ended()
