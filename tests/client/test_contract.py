"""The client against the real service in one process, with an engine that writes what it is told."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from edit_rrm.checkpoint import RRMCard
from edit_rrm.images import EditImage, encode_png
from edit_rrm.judges.shelf import find_judge
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm.traces import render_trace
from edit_rrm_client import (
    AsyncRewardClient,
    AuthenticationError,
    InvalidImageError,
    InvalidRequestError,
    Principle,
    RetryPolicy,
    ScoringFailedError,
    rewards,
)
from edit_rrm_client.bulk.asking import ScoreSettings, ask
from edit_rrm_client.bulk.errors import ModelChangedError
from edit_rrm_client.bulk.groups import Group
from edit_rrm_client.bulk.input_row import InputRow
from edit_rrm_server.api.app import create_app
from edit_rrm_server.engines.engine import Completion, SamplingSettings, Token
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.life.service import Service
from edit_rrm_server.settings.server import ServerSettings

PRINCIPLES = "1. follow: Is the circle blue?\n2. keep: Is the square unchanged?\n3. quality: Is it clean?"
TRACE = render_trace([("red/blue differs", False), ("same", True), ("clean", True)], 3.5)
RNG = np.random.default_rng(0)
SOURCE, FIRST, SECOND = (RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(3))


class WritingEngine:
    """Writes the same principles and the same trace for every prompt, one token a character."""

    alive = True

    def __init__(self, trace: str = TRACE) -> None:
        self.trace = trace

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
        adapter: str = "",
    ) -> Completion:
        text = self.trace if ImageSlot.CANDIDATE in images else PRINCIPLES
        tokens = tuple(Token(letter, offset, -0.1) for offset, letter in enumerate(text))
        return Completion(text, tokens, 100, 80, len(tokens), "stop")

    @property
    def stalled_s(self) -> float:
        return 0.0

    async def died(self) -> None:
        await asyncio.Event().wait()

    async def stop(self) -> None: ...


@asynccontextmanager
async def served(
    engine: WritingEngine | None = None,
    *,
    key: str = "",
    api_keys: str = "",
    transport: str = "multipart",
    judge: str | None = None,
    adapters: Sequence[str] = (),
) -> AsyncIterator[AsyncRewardClient]:
    """A client of a ready service."""

    async def load(_: Path) -> LoadedModel:
        card = RRMCard(name="written", profile="trained", trace_format="1", judges="Judges nothing.")
        chosen = None if judge is None else find_judge(judge)
        base = LoadedModel(engine or WritingEngine(), card, "0" * 12, "None", 4096, chosen_judge=chosen)
        further = (
            replace(base, card=card.model_copy(update={"name": name}), adapter=name) for name in adapters
        )
        return replace(base, further=tuple(further))

    service = Service(ServerSettings(api_keys=api_keys), load)
    app = create_app(service)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app))
    async with app.router.lifespan_context(app), http:
        client = AsyncRewardClient(
            "http://service",
            api_key=key,
            transport=transport,  # type: ignore[arg-type]
            http_client=http,
            retries=RetryPolicy(attempts=1),
        )
        await client.wait_until_ready(30.0, poll_s=0.01)
        yield client


@pytest.mark.parametrize("transport", ["multipart", "base64"])
async def test_a_group_comes_back_scored_in_order_by_either_transport(transport: str) -> None:
    async with served(transport=transport) as client:
        answer = await client.score(
            "make the circle blue", SOURCE, [FIRST, Image.fromarray(SECOND), SOURCE], include=["reasoning"]
        )
    assert rewards(answer) == [0.35, 0.35, 0.0]
    first, _, unedited = answer.results
    assert [verdict.met for verdict in first.verdicts] == [False, True, True]
    assert first.samples[0].reasoning == TRACE
    assert [guard.name for guard in unedited.guards if guard.triggered] == ["no_edit"]
    assert answer.principles_from == "model"


async def test_decomposed_principles_can_be_given_back_and_every_option_is_accepted() -> None:
    async with served() as client:
        decomposed = await client.decompose("make the circle blue", SOURCE)
        answer = await client.score(
            "make the circle blue",
            SOURCE,
            [FIRST],
            principles=decomposed.principles,
            samples=2,
            template_arguments={"effort": "low"},
            aggregator="weighted_mean",
            guards="off",
            deadline_s=30.0,
            priority="bulk",
        )
    assert answer.principles == decomposed.principles
    assert rewards(answer) == [pytest.approx(2 / 3)]


@pytest.mark.parametrize("transport", ["multipart", "base64"])
async def test_several_sources_reach_a_judge_that_takes_them_and_guards_compare_with_the_one_named(
    transport: str,
) -> None:
    async with served(WritingEngine("5"), transport=transport, judge="digit") as client:
        assert (await client.models()).models[0].max_sources == 4
        answer = await client.score("add the hat", [SOURCE, FIRST], [SECOND, FIRST])
        assert rewards(answer) == [1.0, 1.0]
        answer = await client.score("add the hat", [SOURCE, FIRST], [SECOND, FIRST], source_of_guards=1)
        assert rewards(answer) == [1.0, 0.0]  # the second source, untouched


async def test_a_judge_of_one_source_refuses_two_by_a_typed_error() -> None:
    async with served() as client:
        with pytest.raises(InvalidRequestError, match="takes 1, got 2"):
            await client.score("add the hat", [SOURCE, FIRST], [SECOND])


async def test_models_and_probes_are_understood() -> None:
    async with served() as client:
        model = (await client.models()).models[0]
        assert (model.name, model.judges) == ("written", "Judges nothing.")
        assert (await client.health()).ok
        assert (await client.ready()).ok


@pytest.mark.parametrize("judge", [None, "digit"])
async def test_a_model_is_chosen_by_name_and_reported_as_it_is_listed(judge: str | None) -> None:
    """A bulk job refuses an answer of another model than the one it was told of."""
    async with served(WritingEngine("5") if judge else None, judge=judge, adapters=["sharp"]) as client:
        listed = await client.models()
        for wanted in (None, "sharp"):
            model = listed.named(wanted)
            assert model is not None
            answer = await client.score("make the circle blue", SOURCE, [FIRST], model=wanted)
            assert answer.model == model.reported
            if judge is None:
                decomposed = await client.decompose("make the circle blue", SOURCE, model=wanted)
                assert decomposed.model == model.reported
        assert listed.named("dull") is None
        with pytest.raises(InvalidRequestError) as refused:
            await client.score("make the circle blue", SOURCE, [FIRST], model="dull")
    assert (refused.value.code, refused.value.status) == ("unknown_model", 404)


async def test_a_bulk_row_keeps_subscores_and_ends_the_job_where_its_model_is_gone() -> None:
    before, after = (encode_png(Image.fromarray(pixels)) for pixels in (SOURCE, FIRST))
    row = InputRow(row=1, key="1", id="1", instruction="go", source_image=before, edited_image=after)
    group = Group(rows=(row,))
    async with served(WritingEngine("5"), judge="digit", adapters=["sharp"]) as client:
        model = (await client.models()).named("sharp")
        assert model is not None
        (result,) = await ask(client, group, ScoreSettings(model="sharp"), model.reported)
        assert [(one.name, one.value) for one in result.subscores] == [("edit", 1.0)]
        assert (result.rrm, result.reward) == (model.reported, 1.0)
        with pytest.raises(ModelChangedError, match="'dull' is not served here"):
            await ask(client, group, ScoreSettings(model="dull"), "dull@000000000000")


async def test_a_trace_nobody_can_read_is_an_error_and_never_a_reward() -> None:
    async with served(WritingEngine("a perfect edit, ten out of ten")) as client:
        with pytest.raises(ScoringFailedError) as raised:
            await client.score("make the circle blue", SOURCE, [FIRST])
    assert raised.value.code == "trace_unparseable"


async def test_refusals_arrive_as_their_types() -> None:
    async with served() as client:
        with pytest.raises(InvalidImageError) as refused:
            await client.score("make the circle blue", SOURCE, [b"GIF89a, or so it says"])
    assert refused.value.code == "unsupported_image"
    for key, code in (("", "missing_key"), ("wrong", "bad_key")):
        async with served(api_keys="right", key=key) as client:
            with pytest.raises(AuthenticationError) as unknown:
                await client.models()
        assert unknown.value.code == code
    async with served(api_keys="right", key="right") as client:
        assert (await client.models()).models


async def test_many_groups_at_once_all_come_back() -> None:
    principle = Principle(id="p1", question="Is the circle blue?", category="follow")
    engine = WritingEngine(render_trace([("blue/blue same", True)], 9.0))
    async with served(engine) as client:
        answers = await asyncio.gather(
            *(
                client.score(f"edit {number}", SOURCE, [FIRST, SECOND], principles=[principle])
                for number in range(20)
            )
        )
    assert {tuple(rewards(answer)) for answer in answers} == {(0.9, 0.9)}
