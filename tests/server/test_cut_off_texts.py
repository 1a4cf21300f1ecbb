"""A text that ended at its budget is no answer, whatever it holds and whoever judges."""

from dataclasses import replace

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_service import LiveService
from scripted_engine import Asked, ScriptedEngine, completion
from small_calls import PRINCIPLES, score_body

from edit_rrm.judges.shelf import find_judge
from edit_rrm.traces import render_trace
from edit_rrm_server.engines.engine import Completion

WHOLE = [
    render_trace([("it is blue", True), ("as it was", True)], 9.0),
    '[{"principle": 1, "met": 1}, {"principle": 2, "met": 1}]\n<score>9</score>',
    '{"follow": 9, "keep": 9, "quality": 9}',
    '{"score": [9, 9, 9]}',
]


class _Cut:
    """Answers with `text`, and says that it was cut off there."""

    text = ""

    def __call__(self, asked: Asked) -> Completion:
        return replace(completion(self.text), finish_reason="length")


@pytest.mark.parametrize("name", ["trained", "zero_shot", "three_scores"])
def test_a_text_that_was_cut_off_is_never_a_score(name: str) -> None:
    cut, judge = _Cut(), find_judge(name)
    body = score_body(
        principles=PRINCIPLES if judge.needs_principles else None,
        sampling={"temperature": 0.7, "max_tokens": 50},
    )
    with LiveService(ScriptedEngine(cut), judge=judge) as live, httpx.Client(base_url=live.url) as http:

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(WHOLE) | st.text(max_size=60))
        def answered(text: str) -> None:
            cut.text = text
            answer = http.post("/v1/score", json=body)
            assert (answer.status_code, answer.json()["code"]) == (502, "trace_truncated")

        answered()
