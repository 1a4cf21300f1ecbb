"""Prompts as chat completions, and completions as text with tokens."""

import json
import math
from typing import Any

import pytest
from scripted_fleet import GREEDY, PROMPT, chat_answer

from edit_rrm.prompts import ImageSlot
from edit_rrm.verdict_probability import met_probability
from edit_rrm_server.engines.engine import Completion
from edit_rrm_server.engines.openai.chat import ChatForm, Dialect, read_completion
from edit_rrm_server.engines.openai.upstream_errors import UpstreamError


def asked(dialect: Dialect = "vllm", top_logprobs: int = 20) -> dict[str, Any]:
    body = ChatForm("judge", dialect, top_logprobs).body(PROMPT, {ImageSlot.SOURCE: b"data:x"}, GREEDY)
    found: dict[str, Any] = json.loads(b"".join(body))
    return found


def read(answer: Any) -> Completion:
    return read_completion(json.dumps(answer).encode())


def spelled(*pieces: str, text: str | None = None, **place: Any) -> dict[str, Any]:
    """An answer whose tokens are these pieces."""
    places = [{"token": piece, "logprob": -0.1, "bytes": list(piece.encode()), **place} for piece in pieces]
    content = "".join(pieces) if text is None else text
    return chat_answer(logprobs={"content": places}, message={"content": content})


def test_text_and_images_keep_their_order() -> None:
    system, user = asked()["messages"]
    assert system == {"role": "system", "content": [{"type": "text", "text": "judge"}]}
    assert user["content"] == [
        {"type": "image_url", "image_url": {"url": "data:x"}},
        {"type": "text", "text": "blue?"},
    ]


def test_vllm_is_told_to_add_nothing_of_its_own_and_others_are_sent_only_what_they_know() -> None:
    vllm, other = asked("vllm"), asked("openai")
    assert (vllm["top_k"], vllm["min_p"], vllm["repetition_penalty"]) == (0, 0.0, 1.0)
    assert set(other) == {
        "model", "messages", "temperature", "top_p", "seed", "max_completion_tokens", "logprobs",
        "top_logprobs",
    }  # fmt: skip
    assert vllm["max_tokens"] == other["max_completion_tokens"] == 16
    assert (vllm["temperature"], vllm["top_p"], vllm["seed"]) == (0.0, 1.0, 0)


def test_a_fleet_that_shows_no_tokens_is_not_asked_for_them() -> None:
    assert not {"logprobs", "top_logprobs"} & set(asked(top_logprobs=0))


def test_an_answer_is_a_completion_with_probabilities_at_the_places_of_its_digits() -> None:
    completion = read(chat_answer("1. blue => 1"))
    assert (completion.text, completion.finish_reason) == ("1. blue => 1", "stop")
    assert (completion.prompt_tokens, completion.cached_prompt_tokens, completion.completion_tokens) == (
        100, 64, 13,
    )  # fmt: skip
    assert met_probability(completion.tokens, 11) == pytest.approx(0.9)
    end = completion.tokens[-1]
    assert (end.text, end.offset) == ("", 12)  # the token that ends the text is no part of it


@pytest.mark.parametrize("logprobs", [None, {"content": None}, {"content": []}])
def test_without_logprobs_there_are_no_tokens_and_no_probability(logprobs: Any) -> None:
    completion = read(chat_answer(logprobs=logprobs))
    assert completion.text == "1. blue => 1"
    assert completion.tokens == ()
    assert met_probability(completion.tokens, 11) is None


def test_a_character_that_several_tokens_write_belongs_to_the_last_of_them() -> None:
    answer = spelled("a", "\ufffd", "\ufffd", "1", text="aé1")
    places = answer["choices"][0]["logprobs"]["content"]
    places[1]["bytes"], places[2]["bytes"] = [0xC3], [0xA9]
    found = [(token.text, token.offset) for token in read(answer).tokens]
    assert found == [("a", 0), ("", 1), ("é", 1), ("1", 2)]


def test_texts_serve_where_bytes_are_absent_or_wrong() -> None:
    for given in (None, [300], [63]):
        tokens = read(spelled("is ", "1", bytes=given)).tokens
        assert [(token.text, token.offset) for token in tokens] == [("is ", 0), ("1", 3)]


def test_tokens_of_another_text_are_not_trusted() -> None:
    assert read(spelled("x => ", "1", text=" => 1")).tokens == ()


@pytest.mark.parametrize("opening", [("<think>",), ()], ids=["whole", "opened by the prompt"])
def test_behind_a_reasoning_parser_the_answer_s_tokens_are_found(opening: tuple[str, ...]) -> None:
    place = {"top_logprobs": [{"token": "0", "logprob": math.log(0.1)}], "logprob": math.log(0.9)}
    thought = (*opening, "is it => ", "0", "?", "</think>", "\n\n")
    tokens = read(spelled(*thought, "blue => ", "1", "<|im_end|>", text="blue => 1", **place)).tokens
    assert [(token.text, token.offset) for token in tokens] == [("blue => ", 0), ("1", 8), ("", 9)]
    assert met_probability(tokens, 8) == pytest.approx(0.9)


def test_a_token_that_ends_the_thought_and_begins_the_answer_has_no_probability_of_its_own() -> None:
    tokens = read(spelled("<think>", "hm", "</think>\n1", " blue", text="1 blue")).tokens
    assert [(token.text, token.offset, token.logprob is None) for token in tokens] == [
        ("1", 0, True),
        (" blue", 1, False),
    ]


def test_a_logprob_that_vllm_does_not_know_is_none() -> None:
    answer = spelled("1", top_logprobs=[{"token": "0", "logprob": -9999.0}])
    assert read(answer).tokens[0].alternatives == {}
    answer["choices"][0]["logprobs"]["content"][0]["logprob"] = -9999.0
    assert read(answer).tokens[0].logprob is None


def test_a_verdict_whose_other_was_not_shown_has_no_probability() -> None:
    place = {"top_logprobs": [{"token": "x", "logprob": math.log(0.01)}], "logprob": math.log(0.9)}
    assert met_probability(read(spelled("1", **place)).tokens, 0) is None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{}]}',
        json.dumps(chat_answer(finish_reason=None)).encode(),
        json.dumps(chat_answer(finish_reason="abort")).encode(),
        json.dumps(chat_answer(finish_reason="content_filter")).encode(),
        json.dumps(chat_answer(logprobs={"content": [{"token": "1", "logprob": math.nan}]})).encode(),
    ],
)  # fmt: skip
def test_what_is_no_completion_is_an_engine_failure_that_another_upstream_may_mend(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_completion(body)
    assert (caught.value.error.code, caught.value.final, caught.value.down) == ("engine_failed", False, False)


def test_a_text_cut_at_its_length_is_a_completion() -> None:
    assert read(chat_answer("1. bl", finish_reason="length")).finish_reason == "length"
