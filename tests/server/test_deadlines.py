"""A deadline keeps what was finished, names what was not, and every token is counted once."""

import asyncio
from collections.abc import Mapping
from typing import Any

from running_service import Running, Start, until
from scripted_engine import CACHED_TOKENS, PROMPT_TOKENS, ScriptedEngine
from small_calls import BLUE, RED, b64, picture, png
from test_engine_death import metric
from test_stream_route import Connection, line

from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_server.engines.engine import Completion, SamplingSettings

DEADLINE_S = 0.4
SAMPLED = {"temperature": 0.7}


class Stalling(ScriptedEngine):
    """Answers so many prompts, and then no more."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self._answers = answers

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
        adapter: str = "",
    ) -> Completion:
        if len(self.asked) >= self._answers:
            self.gate = asyncio.Event()
        return await super().generate(prompt, images, sampling, watched, group, adapter)


async def tokens(running: Running, kind: str) -> float:
    return await metric(running, f'edit_rrm_tokens_total{{kind="{kind}"}}')


def call(candidates: int, **fields: Any) -> dict[str, Any]:
    return {"candidates": [b64(BLUE)] * candidates, "guards": "off", "deadline_s": DEADLINE_S, **fields}


async def test_candidates_that_were_finished_keep_their_rewards(start: Start) -> None:
    engine = Stalling(answers=3)
    running = await start(engine, window=1)
    answer = await running.score(**call(4, sampling=SAMPLED))
    assert answer.status_code == 200
    *finished, late = sorted(answer.json()["results"], key=lambda result: result["reward"] is None)
    assert [result["reward"] for result in finished] == [0.6] * 3
    assert (late["reward"], late["error"]["code"]) == (None, "deadline_exceeded")
    assert answer.json()["usage"]["prompt_tokens"] == 3 * PROMPT_TOKENS
    assert await metric(running, 'edit_rrm_jobs_dropped_total{place="engine",reason="expired"}') == 1
    assert await metric(running, 'edit_rrm_candidates_total{outcome="deadline_exceeded"}') == 1
    running.assert_idle()


async def test_jobs_that_never_started_are_dropped_as_expired(start: Start) -> None:
    running = await start(Stalling(answers=1), window=1)
    answer = await running.score(**call(4, sampling=SAMPLED))
    statuses = sorted(result["status"] for result in answer.json()["results"])
    assert statuses == ["error"] * 3 + ["ok"]  # which came first is for the decoder to say
    assert await metric(running, 'edit_rrm_jobs_dropped_total{place="queue",reason="expired"}') == 2
    running.assert_idle()


async def test_a_candidate_of_whose_samples_only_some_were_finished_is_late(start: Start) -> None:
    running = await start(Stalling(answers=3), window=1)
    answer = await running.score(**call(2, samples=2, sampling=SAMPLED))
    codes = {result.get("error", {}).get("code") for result in answer.json()["results"]}
    assert codes == {None, "deadline_exceeded"}
    assert answer.json()["usage"]["prompt_tokens"] == 2 * PROMPT_TOKENS
    assert await tokens(running, "prompt") == 3 * PROMPT_TOKENS
    running.assert_idle()


async def test_a_guard_s_finding_is_kept_where_the_principles_came_too_late(start: Start) -> None:
    running = await start(Stalling(answers=0))
    answer = await running.score(
        candidates=[b64(RED), b64(BLUE)], principles=None, guards="enforce", deadline_s=DEADLINE_S
    )
    assert answer.status_code == 200
    unedited, edited = answer.json()["results"]
    assert (unedited["status"], unedited["reward"]) == ("ok", 0.0)
    assert edited["error"]["code"] == "deadline_exceeded"
    assert (answer.json()["principles"], answer.json()["principles_from"]) == ([], "model")
    running.assert_idle()


async def test_tokens_of_a_late_call_are_counted(start: Start) -> None:
    """Its principles were drawn; no candidate was finished."""
    running = await start(Stalling(answers=1))
    answer = await running.score(**call(2, principles=None))
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    assert await tokens(running, "prompt") == PROMPT_TOKENS
    assert await tokens(running, "cached_prompt") == CACHED_TOKENS
    running.assert_idle()


async def test_tokens_of_texts_that_could_not_be_used_are_counted(start: Start) -> None:
    running = await start(ScriptedEngine(lambda _: "nonsense"), retries=1)
    assert (await running.score()).json()["code"] == "trace_unparseable"
    assert await tokens(running, "completion") == 2 * len("nonsense")


async def test_tokens_of_a_caller_who_left_are_counted(start: Start) -> None:
    engine = Stalling(answers=1)
    running = await start(engine, window=1)
    connection = Connection(running)
    connection.write(line(1, candidates=[b64(BLUE)] * 2, guards="off", sampling=SAMPLED))
    await until(lambda: engine.running == 1 and len(engine.asked) == 2)
    connection.close()
    await connection.task
    assert await tokens(running, "prompt") == PROMPT_TOKENS
    running.assert_idle()


async def test_a_call_in_time_counts_its_tokens_once(running: Running) -> None:
    answer = await running.score(principles=None, candidates=[b64(BLUE), b64(png(picture((0, 90, 0))))])
    usage = answer.json()["usage"]
    assert usage["prompt_tokens"] == 3 * PROMPT_TOKENS
    for kind in ("prompt", "cached_prompt", "completion"):
        field = {"prompt": "prompt_tokens", "cached_prompt": "cached_prompt_tokens"}
        assert await tokens(running, kind) == usage[field.get(kind, "completion_tokens")]


async def test_a_line_of_a_stream_keeps_what_was_finished(start: Start) -> None:
    running = await start(Stalling(answers=1), window=1)
    connection = Connection(running)
    connection.write(line("k", **call(2, sampling=SAMPLED)), more=False)
    await connection.task
    (answer,) = connection.answers
    assert answer["key"] == "k"
    assert [result["status"] for result in answer["results"]] == ["ok", "error"]
    running.assert_idle()
