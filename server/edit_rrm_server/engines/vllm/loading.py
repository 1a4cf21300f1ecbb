"""A checkpoint brought up in vLLM: found, loaded, warmed up and looked at before anybody calls."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from edit_rrm.errors import EditRRMError
from edit_rrm.judges.judge import Judge
from edit_rrm.judges.shelf import chosen_judge, profiled
from edit_rrm_server.engines.checkpoints.adapters import Adapter
from edit_rrm_server.engines.checkpoints.locating import LocatedCheckpoint, locate
from edit_rrm_server.engines.detached_thread import run_detached
from edit_rrm_server.engines.engine import PromptRunner
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.engines.vllm.engine import VllmEngine
from edit_rrm_server.engines.vllm.failed_start import forget_errors, start_error
from edit_rrm_server.engines.vllm.front_ends import FrontEndsEngine
from edit_rrm_server.engines.vllm.probe import ProbedEngine
from edit_rrm_server.engines.vllm.start import engine_config, operators_environment
from edit_rrm_server.engines.watched_engine import engine_dead
from edit_rrm_server.settings.server import ServerSettings

logger = logging.getLogger(__name__)

Progress = Callable[[str], None]
AnyVllmEngine = VllmEngine | FrontEndsEngine
WarmUp = Callable[[PromptRunner, Judge, str], Coroutine[Any, Any, None]]


async def load_vllm_model(settings: ServerSettings, progress: Progress, warm_up: WarmUp) -> LoadedModel:
    """Loads the checkpoint of the settings and warms it up; `progress` is told each step.

    Raises CheckpointError, SettingsFileError, JudgeError, EngineStartError, UnavailableError (engine_dead).
    No engine is left then.
    Cancelling ends it at once, although the steps themselves cannot be interrupted.
    """
    found = await locate(settings, progress, operators_environment())
    models = (found, *found.further)
    judges = [_judge(model, found, settings) for model in models]
    chosen = settings.model_copy(update={"model": found.directory})
    adapters = {model.card.name: model.adapter for model in models if model.adapter is not None}
    images = 1 + max(
        (judge or profiled(model.card)).max_sources for model, judge in zip(models, judges, strict=True)
    )
    engine = await run_detached(
        lambda: _start_engine(chosen, adapters, images, progress), undo=lambda engine: engine.shut_down()
    )
    try:
        progress("warming up")
        warm = [
            await _warmed(_loaded(engine, model, judge), engine, warm_up)
            for model, judge in zip(models, judges, strict=True)
        ]
    except BaseException:
        await engine.stop()
        raise
    return replace(warm[0], further=tuple(warm[1:]))


def _judge(model: LocatedCheckpoint, base: LocatedCheckpoint, settings: ServerSettings) -> Judge | None:
    """Of a further adapter its own, if it brings one, else its base's. Raises JudgeError."""
    own = model is not base and model.beside != base.beside
    return chosen_judge(model.beside, model.card, None if own else settings.judge)


def _loaded(engine: AnyVllmEngine, found: LocatedCheckpoint, judge: Judge | None) -> LoadedModel:
    return LoadedModel(
        engine,
        found.card,
        found.digest,
        engine.architecture,
        engine.max_model_len,
        engine.sequences,
        chosen_judge=judge,
        adapter="" if found.adapter is None else found.card.name,
    )


async def _warmed(model: LoadedModel, engine: AnyVllmEngine, warm_up: WarmUp) -> LoadedModel:
    """The model after its first verifications. Raises CheckpointError, UnavailableError."""
    probe = ProbedEngine(engine.run, engine.text_of)
    await _unless_dead(engine, warm_up(probe, model.judge, model.adapter))
    logger.info("%s: %s", model.card.name, engine.steps)
    _tell(model, probe, engine)
    return replace(model, prefix_reuse=None if probe.reuse is None else probe.reuse.share)


def _tell(model: LoadedModel, probe: ProbedEngine, engine: AnyVllmEngine) -> None:
    """Warns of what a judge on this checkpoint loses."""
    if probe.misplaced is not None:
        logger.warning("%s: the chat template moves images: %s", model.card.name, probe.misplaced)
    if probe.reuse is not None and probe.reuse.lessened:
        logger.warning(
            "%s: candidates of a group share less: %d of %d common prompt tokens came from the cache (%s)",
            model.card.name,
            probe.reuse.cached,
            probe.reuse.common,
            engine.sharing,
        )


async def _unless_dead(engine: AnyVllmEngine, work: Coroutine[Any, Any, None]) -> None:
    """Does `work`. Raises UnavailableError if the engine dies meanwhile, of which vLLM may not tell it."""
    working, death = asyncio.create_task(work), asyncio.create_task(engine.died())
    try:
        await asyncio.wait({working, death}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise engine_dead()
        await working
    finally:
        for task in (working, death):
            task.cancel()
        await asyncio.wait({working, death})


def _start_engine(
    settings: ServerSettings, adapters: Mapping[str, Adapter], images: int, progress: Progress
) -> AnyVllmEngine:
    """Blocks until the engine core is up; runs in a thread so that the probes answer meanwhile."""
    progress("importing vLLM")
    from vllm.v1.engine.async_llm import AsyncLLM

    forget_errors()
    try:
        progress("reading the model's configuration")
        config = engine_config(settings, tuple(adapters.values()), images)
        progress("loading the model")
        directories = {name: adapter.directory for name, adapter in adapters.items()}
        workers = settings.front_ends()
        if workers:
            return FrontEndsEngine(config, workers, directories)
        return VllmEngine(AsyncLLM.from_vllm_config(config), directories)
    except EditRRMError:
        raise
    except Exception as error:
        raise start_error(error) from error
