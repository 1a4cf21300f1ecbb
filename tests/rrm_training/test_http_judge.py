"""A service as a judge: what it is asked, and what its answers and failures become."""

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

from edit_rrm.principles import numbered
from edit_rrm.wire import ScoreRequest
from edit_rrm_training.endpoints.http_calls import Patience
from edit_rrm_training.errors import EndpointError
from edit_rrm_training.evaluation.http_judge import HttpJudge
from edit_rrm_training.evaluation.judging import Drawing, Question

PRINCIPLES = numbered([("follow", "Is it blue?")])
RED = Image.new("RGB", (4, 4), (200, 0, 0))
QUESTION = Question("make it blue", RED, (RED, RED), PRINCIPLES)
SCORED = {
    "status": "ok", "reward": 0.4, "score": 4.0, "average": 1.0,
    "verdicts": [{"principle": "p1", "met": True, "probability": 0.9, "evidence": "it is"}],
    "samples": [{"score": 3.0, "reward": 0.3, "reasoning": "one"}, {"score": 5.0, "reward": 0.5}],
}  # fmt: skip
FAILED = {"status": "error", "error": {"code": "trace_unparseable", "detail": "no"}, "reward": None}
ANSWER = {"id": "r", "model": "m", "principles": [p.model_dump(mode="json") for p in PRINCIPLES],
          "principles_from": "request", "results": [SCORED, FAILED]}  # fmt: skip
UNUSABLE = {
    "type": "t",
    "title": "t",
    "status": 502,
    "detail": "d",
    "instance": "r",
    "code": "trace_unparseable",
}


@contextmanager
def service(*answers: tuple[int, Any]) -> Iterator[tuple[HttpJudge, list[tuple[str, dict[str, Any]]]]]:
    """A judge in front of a service that gives these answers in turn; and the calls it got."""
    waiting, calls = deque(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            calls.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            status, content = waiting.popleft()
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    patience = Patience(attempts=2, initial_back_off_s=0.001)
    try:
        yield HttpJudge(f"http://127.0.0.1:{http.server_port}", patience=patience), calls
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def test_a_group_is_one_call_with_guards_off_and_the_drawing_that_was_asked_for() -> None:
    with service((200, ANSWER)) as (judge, calls):
        judge.judge([QUESTION], Drawing(samples=2, temperature=0.7))
    ((path, body),) = calls
    asked = ScoreRequest.model_validate(body)
    assert path == "/v1/score"
    assert (len(asked.candidates), asked.samples, asked.sampling.temperature) == (2, 2, 0.7)
    assert (asked.guards, asked.principles, asked.priority) == ("off", list(PRINCIPLES), "bulk")


def test_scores_verdicts_and_failures_of_candidates_become_opinions() -> None:
    with service((200, ANSWER)) as (judge, _):
        ((scored, failed),) = judge.judge([QUESTION], Drawing(samples=3, temperature=0.7))
    assert scored.scores == (3.0, 5.0, None)  # the third sample failed, so it is absent from the answer
    assert (scored.score(), scored.score(1), scored.met, scored.probabilities) == (4.0, 3.0, (True,), (0.9,))
    assert (failed.scores, failed.score(), failed.met) == ((None, None, None), None, None)


def test_a_group_of_which_no_text_could_be_used_is_unscored_and_not_asked_again() -> None:
    with service((502, UNUSABLE)) as (judge, calls):
        (opinions,) = judge.judge([QUESTION], Drawing())
        assert [opinion.score() for opinion in opinions] == [None, None]
    assert len(calls) == 1


@pytest.mark.parametrize("answer", [{**UNUSABLE, "code": "engine_failed"}, "<html>Bad Gateway</html>"])
def test_a_failure_of_the_engine_or_of_a_gateway_is_no_opinion_of_the_model(answer: Any) -> None:
    failed = (502, answer)
    with service(failed, (200, ANSWER), *[failed] * 4) as (judge, calls):
        assert judge.judge([QUESTION], Drawing())[0][0].score() == 4.0
        with pytest.raises(EndpointError, match=r"overloaded after 2 attempts: .*502"):
            judge.judge([QUESTION], Drawing())
        with pytest.raises(EndpointError, match="502"):
            judge.decompose([QUESTION])
    assert len(calls) == 6


def test_a_candidate_that_the_service_failed_at_is_asked_about_again() -> None:
    failed = {**FAILED, "error": {"code": "engine_failed", "detail": "it died"}}
    with service((200, {**ANSWER, "results": [SCORED, failed]}), (200, ANSWER)) as (judge, calls):
        assert judge.judge([QUESTION], Drawing())[0][0].score() == 4.0
    assert len(calls) == 2


def test_an_overloaded_service_is_asked_again_and_a_refusal_is_an_error() -> None:
    with service((429, {}), (200, ANSWER), (422, {"detail": "bad"})) as (judge, calls):
        assert judge.judge([QUESTION], Drawing())[0][0].score() == 4.0
        with pytest.raises(EndpointError, match="422"):
            judge.judge([QUESTION], Drawing())
    assert len(calls) == 3


def test_an_answer_against_the_contract_is_an_error_and_never_a_score() -> None:
    wrong = {**ANSWER, "results": [{"status": "ok", "score": "high"}] * 2}
    short = {**ANSWER, "results": [SCORED]}
    with service((200, wrong), (200, short)) as (judge, _), pytest.raises(EndpointError, match="malformed"):
        judge.judge([QUESTION], Drawing())


def test_decompositions_come_as_principles_or_as_none() -> None:
    answer = {key: ANSWER[key] for key in ("id", "model", "principles", "principles_from")}
    with service((200, answer), (502, {**UNUSABLE, "code": "decomposition_failed"})) as (judge, calls):
        (found,) = judge.decompose([QUESTION])
        (lost,) = judge.decompose([QUESTION])
    assert (found.text, found.principles) == ("1. follow: Is it blue?", PRINCIPLES)
    assert lost.principles is None
    assert [path for path, _ in calls] == ["/v1/decompose"] * 2
