"""How a fleet is met: which of its models is meant, which card belongs to it, and what identifies both."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from edit_rrm.checkpoint import RRMCard, read_card, zero_shot_card
from edit_rrm.errors import CheckpointError, JudgeError, ProxyUnusableError
from edit_rrm.judges.shelf import chosen_judge
from edit_rrm.proxies import open_http
from edit_rrm_server.engines.affinity import Affinity
from edit_rrm_server.engines.control_text import control_texts, read_added_tokens
from edit_rrm_server.engines.detached_thread import run_detached
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.engines.openai.chat import ChatForm
from edit_rrm_server.engines.openai.engine import OpenAIEngine, RetryPlan
from edit_rrm_server.engines.openai.image_urls import ImageUrls
from edit_rrm_server.engines.openai.upstreams import ReportedModel, Upstreams
from edit_rrm_server.engines.weights_digest import DIGEST_HEX_CHARS, default_cache_file, weights_digest
from edit_rrm_server.errors import EngineStartError
from edit_rrm_server.observe.fleet_metrics import FleetMetrics
from edit_rrm_server.settings.server import ServerSettings

_KEPT_CONNECTIONS = 256
# Less than vLLM's own 5 s: one of two that end an idle connection at the same moment loses a prompt.
_KEEP_ALIVE_S = 3.0

logger = logging.getLogger(__name__)


async def load_openai_model(
    settings: ServerSettings,
    progress: Callable[[str], None],
    metrics: FleetMetrics,
    transport: httpx.AsyncBaseTransport | None = None,
    on_no_upstream: Callable[[], object] = lambda: None,
) -> LoadedModel:
    """Waits until an upstream is up, then serves its model with the card of `settings.model`.

    `transport` replaces the network, for tests; `on_no_upstream` is told whenever all were asked in vain.
    Raises EngineStartError for a proxy that cannot be used, JudgeError, and CheckpointError when it is not
    clear which model that is, or the card does not fit.
    """
    key = settings.upstream_key
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=_KEPT_CONNECTIONS, keepalive_expiry=_KEEP_ALIVE_S
    )
    try:
        http = open_http(
            httpx.AsyncClient,
            settings.upstreams,
            headers={} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"},
            transport=transport,
            limits=limits,
        )
    except ProxyUnusableError as error:
        raise EngineStartError(str(error)) from error
    try:
        upstreams = Upstreams(settings.upstreams, http, Affinity(settings.affinity_slack), metrics)
        progress("waiting for an upstream")
        await upstreams.wait_until_up(settings.upstream_check_interval_s, on_no_upstream)
        reported = next(upstream.models for upstream in upstreams.all if upstream.up)
        directory = settings.model if settings.model.is_dir() else None
        wanted = settings.upstream_model if directory else (settings.upstream_model or str(settings.model))
        model = meant_model(reported, wanted)
        card = read_card(directory) if directory else zero_shot_card(model.id)
        judge = chosen_judge(directory, card, settings.judge)
        if judge is not None and judge.chat_template is not None and settings.upstream_dialect != "vllm":
            raise JudgeError(f"the judge {judge.name!r} has a chat template, which only vLLM's servers take")
        digest, of_weights = await run_detached(lambda: fleet_digest(directory, card, model.id))
        control = control_texts(read_added_tokens(directory)) if directory else ()
    except BaseException:
        await http.aclose()
        raise
    upstreams.model = model.id
    await upstreams.check()  # those that serve another model are not up
    engine = OpenAIEngine(
        http,
        upstreams,
        ChatForm(model.id, settings.upstream_dialect, settings.upstream_top_logprobs),
        RetryPlan(settings.upstream_retries, settings.upstream_timeout_s),
        ImageUrls(int(settings.image_cache_gib * 2**30)),
        check_interval_s=settings.upstream_check_interval_s,
        control=control,
    )
    logger.info("the weights digest names %s", "the local weights" if of_weights else "card and model id")
    return LoadedModel(
        engine,
        card,
        digest,
        _architecture(directory),
        model.max_model_len,
        digest_of_weights=of_weights,
        chosen_judge=judge,
    )


def meant_model(reported: Sequence[ReportedModel], wanted: str | None) -> ReportedModel:
    """The fleet's model of that id, or its only one. Raises CheckpointError naming what it serves."""
    fitting = [model for model in reported if wanted in (None, model.id)]
    if len(fitting) != 1:
        served = ", ".join(repr(model.id) for model in reported) or "no model"
        asked = "set upstream_model to one of them" if wanted is None else f"not {wanted!r}"
        raise CheckpointError(f"the fleet serves {served}: {asked}")
    return fitting[0]


def fleet_digest(directory: Path | None, card: RRMCard, model_id: str) -> tuple[str, bool]:
    """What identifies the weights, and whether it is their own digest, taken from a local copy.

    Without a local copy the service knows no more than the card and the name the fleet has for the model.
    """
    if directory is not None and any(directory.glob("*.safetensors")):
        return weights_digest(directory, default_cache_file()), True
    known = f"{card.model_dump_json()}\0{model_id}"
    return hashlib.sha256(known.encode()).hexdigest()[:DIGEST_HEX_CHARS], False


def _architecture(directory: Path | None) -> str:
    """What config.json names, where there is a local copy."""
    file = None if directory is None else directory / "config.json"
    if file is None or not file.is_file():
        return "unknown"
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["architectures"][0])
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise CheckpointError(f"{file} names no architecture") from error
