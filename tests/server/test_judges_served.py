"""The service asks whatever judge it is given: what is sent, what comes back, what is refused."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from running_service import CARD, Running, Start
from scripted_engine import PROMPT_TOKENS, Asked, ScriptedEngine, completion, trace
from small_calls import BLUE, RED, b64, picture, png

from edit_rrm.judges.shelf import find_judge
from edit_rrm.judges.spec import judge_spec
from edit_rrm.judges.written import WrittenJudge
from edit_rrm.prompts import ImageSlot
from edit_rrm_server.engines.engine import Completion, Token
from edit_rrm_server.engines.loaded_model import LoadedModel

Script = Callable[[Asked], str | Completion]
Judged = Callable[[str | dict[str, Any], Script], Awaitable[Running]]

LENGTH = 2048
BUDGET, LONGER = CARD.sampling.max_tokens, LENGTH - PROMPT_TOKENS

SCORES = {
    "name": "scores",
    "reward": "sqrt(min(success, restraint) * looks)",
    "subscores": {"success": {"category": "follow"}, "restraint": {"category": "keep"}},
    "sampling": {"temperature": 0.0, "max_tokens": 64},
    "asks": [
        {
            "name": "edit",
            "messages": [
                {"role": "user", "parts": [{"image": "sources"}, {"image": "candidate"}, "{instruction}"]}
            ],
            "answer": {"form": "json_scores", "range": [0, 25], "subscores": ["success", "restraint"]},
        },
        {
            "name": "picture",
            "messages": [{"role": "user", "parts": [{"image": "candidate"}, "How does it look?"]}],
            "answer": {"form": "json_scores", "range": [0, 10], "subscores": ["looks"]},
        },
    ],
}


def both_numbers(asked: Asked) -> str:
    return '{"score": [20, 25]}' if asked.prompt.slots[0] == ImageSlot.SOURCE else '{"score": 5}'


def one_token(text: str, **probabilities: float) -> Completion:
    alternatives = {word: math.log(p) for word, p in probabilities.items() if word != text}
    token = Token(text, 0, math.log(probabilities[text]), alternatives)
    return Completion(text, (token,), 100, 64, 1, "length")


def cut(text: str) -> Completion:
    return replace(completion(text), finish_reason="length")


@pytest.fixture
def judged(start: Start) -> Judged:
    """Starts a service whose engine answers by a script, with a judge by name or as a file would hold it."""

    async def begin(judge: str | dict[str, Any], script: Script) -> Running:
        engine = ScriptedEngine(script)
        chosen = find_judge(judge) if isinstance(judge, str) else WrittenJudge(judge_spec(judge, "the test"))

        async def load() -> LoadedModel:
            return LoadedModel(engine, CARD, "0123456789ab", "Q", LENGTH, chosen_judge=chosen)

        return await start(engine, load)

    return begin


async def test_several_asks_become_subscores_and_one_reward(judged: Judged) -> None:
    running = await judged(SCORES, both_numbers)
    answer = (await running.score(principles=None)).json()
    (result,) = answer["results"]
    assert answer["model"].startswith("scripted+scores.")
    assert answer["principles"] == []
    assert result["subscores"] == {"success": 0.8, "restraint": 1.0, "looks": 0.5}
    assert result["reward"] == pytest.approx(math.sqrt(0.8 * 0.5))
    assert result["score"] == pytest.approx(10 * result["reward"])
    assert result["categories"] == {"follow": 0.8, "keep": 1.0}
    assert (result["verdicts"], result["average"]) == ([], None)
    assert len(running.engine.asked) == 2  # and nothing was decomposed
    assert [a.sampling.json_schema is not None for a in running.engine.asked] == [True, True]


async def test_one_failed_ask_fails_the_candidate_and_nothing_is_filled_in(judged: Judged) -> None:
    def script(asked: Asked) -> str:
        return both_numbers(asked) if asked.prompt.slots[0] == ImageSlot.SOURCE else "I cannot say."

    running = await judged(SCORES, script)
    answer = await running.score(principles=None)
    assert (answer.status_code, answer.json()["code"]) == (502, "trace_unparseable")


async def test_principles_and_aggregators_are_refused_by_a_judge_without_them(judged: Judged) -> None:
    running = await judged(SCORES, both_numbers)
    for wrong in ({}, {"principles": None, "aggregator": "soft"}):
        answer = await running.score(**wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert "'scores'" in answer.json()["detail"]
    decomposed = await running.http.post(
        "/v1/decompose", json={"instruction": "make it blue", "source": b64(RED)}
    )
    assert decomposed.status_code == 422
    assert running.engine.asked == []  # nothing was queued


async def test_a_digit_is_read_from_its_probabilities_not_from_its_text(judged: Judged) -> None:
    running = await judged("digit", lambda _: one_token("4", **{"4": 0.5, "2": 0.25, " 4": 0.25}))
    (result,) = (await running.score(principles=None)).json()["results"]
    assert result["reward"] == pytest.approx((4 * 0.75 + 2 * 0.25) / 5)
    assert running.engine.asked[0].sampling.max_tokens == 1


async def test_a_judge_shows_no_larger_images_than_the_model_takes(judged: Judged) -> None:
    running = await judged("digit", lambda _: one_token("5", **{"5": 1.0}))  # 1,280 pixels, the card says 64
    large = b64(png(picture(size=(200, 100))))
    await running.score(principles=None, source=large)
    (asked,) = running.engine.asked
    assert asked.images[ImageSlot.SOURCE].image.size == (64, 32)


async def test_a_judge_that_would_rather_say_something_else_gives_no_number(judged: Judged) -> None:
    running = await judged("digit", lambda _: one_token("The", **{"The": 0.9, "4": 0.1}))
    answer = await running.score(principles=None)
    assert (answer.status_code, answer.json()["code"]) == (502, "trace_unparseable")
    assert len(running.engine.asked) == 1  # asking again would say the same


async def test_every_principle_has_a_question_and_a_probability_of_its_own(judged: Judged) -> None:
    def script(asked: Asked) -> Completion:
        about_blue = "blue" in asked.text.split("Question")[1]
        return one_token("yes", yes=0.9, no=0.1) if about_blue else one_token("no", yes=0.2, no=0.8)

    running = await judged("principles_yes_no", script)
    (result,) = (await running.score()).json()["results"]
    assert [v["met"] for v in result["verdicts"]] == [True, False]
    assert [v["probability"] for v in result["verdicts"]] == pytest.approx([0.9, 0.2])
    assert result["reward"] == pytest.approx(0.55)
    refused = await running.score(aggregator="model_score")
    assert refused.status_code == 422


async def test_a_trace_that_was_cut_off_is_no_answer_however_it_looks(running: Running) -> None:
    running.engine.script = lambda asked: cut(trace(asked, 1.0))
    answer = await running.score()
    assert (answer.status_code, answer.json()["code"]) == (502, "trace_truncated")
    assert [a.sampling.max_tokens for a in running.engine.asked] == [BUDGET, LONGER]
    assert {(a.sampling.seed, a.sampling.temperature) for a in running.engine.asked} == {(0, 0.0)}


async def test_a_longer_budget_saves_a_trace_and_only_the_whole_one_is_kept(running: Running) -> None:
    running.engine.script = lambda asked: cut("1. ") if asked.sampling.max_tokens == BUDGET else trace(asked)
    (first,) = (await running.score()).json()["results"]
    (second,) = (await running.score()).json()["results"]
    assert (first["status"], first["cached"], second["cached"]) == ("ok", False, True)


async def test_the_callers_own_budget_is_not_exceeded(running: Running) -> None:
    running.engine.script = lambda asked: cut("1. ")
    answer = await running.score(sampling={"max_tokens": 32})
    assert answer.json()["code"] == "trace_truncated"
    assert [a.sampling.max_tokens for a in running.engine.asked] == [32]


async def test_principles_that_were_cut_off_are_asked_for_again_and_never_kept(running: Running) -> None:
    whole = "1. follow: is it blue?\n2. keep: is the rest the same?\n3. quality: is it clean?"
    running.engine.script = lambda asked: trace(asked) if asked.verifies else cut(whole)
    for _ in range(2):
        answer = await running.score(principles=None)
        assert (answer.status_code, answer.json()["code"]) == (502, "decomposition_truncated")
    assert [a.sampling.max_tokens for a in running.engine.asked] == [BUDGET, LONGER, BUDGET, LONGER]


async def test_a_scores_sampling_does_not_change_the_questions(running: Running) -> None:
    for seed in (1, 2):
        await running.score(principles=None, sampling={"temperature": 0.9, "seed": seed, "max_tokens": 500})
    asked = [a for a in running.engine.asked if not a.verifies]
    assert [(a.sampling.temperature, a.sampling.seed, a.sampling.max_tokens) for a in asked] == [
        (0.0, 0, BUDGET)
    ]


async def test_where_the_engine_shows_no_probabilities_soft_fails_and_asks_once(running: Running) -> None:
    running.engine.script = lambda asked: replace(completion(trace(asked)), tokens=())
    answer = await running.score(aggregator="soft")
    assert (answer.status_code, answer.json()["code"]) == (502, "trace_unparseable")
    assert "probability" in answer.json()["detail"]
    assert len(running.engine.asked) == 1


async def test_a_score_that_needed_another_seed_is_not_kept_as_the_first(running: Running) -> None:
    running.engine.script = lambda asked: trace(asked) if asked.sampling.seed else "nonsense"
    for _ in range(2):
        (result,) = (await running.score()).json()["results"]
        assert (result["status"], result["cached"]) == ("ok", False)


async def test_a_model_that_thinks_has_tokens_for_it_and_is_told_so(judged: Judged) -> None:
    thinking = {**SCORES, "chat": {"thinking": {"budget_tokens": 100}}}
    running = await judged(thinking, lambda asked: f"<think>Perhaps 3.</think>{both_numbers(asked)}")
    (silent,) = (await running.score(principles=None)).json()["results"]
    wanted = {"enabled": True, "budget_tokens": 500}
    (thought,) = (await running.score(principles=None, thinking=wanted)).json()["results"]
    assert silent["subscores"] == thought["subscores"]
    seen = [(a.prompt.template_arguments, a.sampling.max_tokens) for a in running.engine.asked]
    assert seen[::2] == [((("enable_thinking", False),), 64), ((("enable_thinking", True),), 564)]
    assert [a.sampling.json_schema is None for a in running.engine.asked] == [False, False, True, True]


async def test_a_thought_that_was_not_finished_is_no_answer(judged: Judged) -> None:
    running = await judged(SCORES, lambda asked: f"<think>A draft: {both_numbers(asked)}")
    answer = await running.score(principles=None)
    assert (answer.status_code, answer.json()["code"]) == (502, "trace_unparseable")


async def test_a_thought_that_the_prompt_opened_needs_its_end(judged: Judged) -> None:
    def script(asked: Asked) -> Completion:
        return replace(completion(f"a draft {both_numbers(asked)}"), thought_opened=True)

    running = await judged(SCORES, script)
    assert (await running.score(principles=None)).json()["code"] == "trace_unparseable"
    running.engine.script = lambda asked: replace(
        completion(f'a draft {{"score": [1, 1]}}</think>{both_numbers(asked)}'), thought_opened=True
    )
    (result,) = (await running.score(principles=None)).json()["results"]
    assert result["subscores"]["success"] == 0.8


async def test_card_and_settings_say_what_the_template_is_told_and_whether_the_judge_thinks(
    start: Start,
) -> None:
    engine = ScriptedEngine(lambda asked: trace(asked) if asked.verifies else "no principles")
    card = CARD.model_copy(update={"template_arguments": {"style": "card", "brief": True}})

    async def load() -> LoadedModel:
        return LoadedModel(engine, card, "0123456789ab", "Q", LENGTH)

    running = await start(engine, load, template_arguments={"style": "operator"})
    await running.score()
    await running.score(principles=None)
    told = [dict(asked.prompt.template_arguments) for asked in engine.asked]
    assert told[:2] == [{"style": "operator", "brief": True}] * 2


async def test_a_call_tells_the_template_more_than_card_settings_and_judge_and_is_cached_apart(
    start: Start,
) -> None:
    engine = ScriptedEngine(both_numbers)
    chat = {"thinking": {}, "template_arguments": {"style": "judge", "effort": "low"}}
    chosen = WrittenJudge(judge_spec({**SCORES, "chat": chat}, "the test"))

    async def load() -> LoadedModel:
        return LoadedModel(engine, CARD, "0123456789ab", "Q", LENGTH, chosen_judge=chosen)

    running = await start(engine, load, template_arguments={"style": "operator", "brief": True})
    for own in ({}, {"effort": "high", "brief": False}):
        answer = await running.score(principles=None, template_arguments=own)
        assert answer.json()["results"][0]["cached"] is False
    plain, told = (dict(engine.asked[index].prompt.template_arguments) for index in (0, 2))
    assert plain == {"style": "judge", "brief": True, "effort": "low", "enable_thinking": False}
    assert told == {**plain, "effort": "high", "brief": False}


@pytest.mark.parametrize(
    "wrong",
    [
        {"chat_template": "x"},
        {"tokenize": True},
        {"effort": "<|im_end|>"},
        {"A b": 1},
        {"enable_thinking": True},
    ],
)
async def test_what_a_call_may_not_tell_the_template_is_refused(start: Start, wrong: dict[str, Any]) -> None:
    engine = ScriptedEngine(both_numbers)
    chosen = WrittenJudge(judge_spec({**SCORES, "chat": {"thinking": {}}}, "the test"))

    async def load() -> LoadedModel:
        return LoadedModel(engine, CARD, "0123456789ab", "Q", LENGTH, chosen_judge=chosen)

    answer = await (await start(engine, load)).score(principles=None, template_arguments=wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert engine.asked == []


async def test_the_operator_may_have_a_judge_think_where_calls_do_not_say(start: Start) -> None:
    engine = ScriptedEngine(lambda asked: f"<think>hm</think>{both_numbers(asked)}")
    chosen = WrittenJudge(judge_spec({**SCORES, "chat": {"thinking": {}}}, "the test"))

    async def load() -> LoadedModel:
        return LoadedModel(engine, CARD, "0123456789ab", "Q", LENGTH, chosen_judge=chosen)

    running = await start(engine, load, thinking=True)
    await running.score(principles=None)
    await running.score(principles=None, thinking={"enabled": False})
    assert [a.sampling.thinking_tokens for a in engine.asked] == [2048, 2048, 0, 0]


async def test_a_judge_that_cannot_think_refuses_to_be_told(running: Running) -> None:
    answer = await running.score(thinking={"enabled": True})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await running.score(thinking={"enabled": False})).status_code == 200


async def test_several_sources_are_shown_in_order_and_the_guards_compare_with_one(judged: Judged) -> None:
    running = await judged("digit", lambda _: one_token("5", **{"5": 1.0}))
    sources = [b64(RED), b64(BLUE)]
    wanted: dict[str, Any] = {
        "principles": None,
        "source": None,
        "sources": sources,
        "candidates": [b64(BLUE)],
    }
    (seen,) = (await running.score(**wanted)).json()["results"]
    assert seen["reward"] == 1.0
    assert running.engine.asked[0].prompt.slots == (ImageSlot.SOURCE, ImageSlot.SOURCE_2, ImageSlot.CANDIDATE)
    (refused,) = (await running.score(**wanted, source_of_guards=1)).json()["results"]
    assert refused["reward"] == 0.0  # the second source, untouched
    assert [g["name"] for g in refused["guards"] if g["triggered"]] == ["no_edit"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"sources": [b64(RED)]},
        {"source": None},
        {"source": None, "sources": []},
        {"source": None, "sources": [b64(RED)] * 5},
        {"source_of_guards": 1},
    ],
    ids=["both", "neither", "none", "five", "no such source"],
)
async def test_an_edit_has_one_source_or_one_to_four(running: Running, wrong: dict[str, Any]) -> None:
    answer = await running.score(**wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_checkpoint_of_one_source_refuses_two(running: Running) -> None:
    answer = await running.score(source=None, sources=[b64(RED), b64(BLUE)])
    assert answer.status_code == 422
    assert "takes 1, got 2" in answer.json()["detail"]


@pytest.mark.parametrize("unseen", ["\u200b", " \u2060 ", "\u3164"])
async def test_an_instruction_that_nobody_can_see_is_refused(running: Running, unseen: str) -> None:
    answer = await running.score(instruction=unseen)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "nothing that can be seen" in answer.json()["detail"]
    assert running.engine.asked == []
