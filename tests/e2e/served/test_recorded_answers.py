"""The bundled model answers as it did: texts to the letter, numbers to five places."""

import recorded_answers
from service_process import ServiceProcess

EDITS = 40
# Where two tokens are nearly as likely, another CPU may choose the other: of 160 traces, that many.
OTHERWISE = 3


def test_answers_are_those_recorded(server: ServiceProcess) -> None:
    before = recorded_answers.recorded()
    assert len(before) == recorded_answers.EDITS
    now = recorded_answers.ask_for(server.http, EDITS)
    assert all(answer["status"] == 200 for answer in now)
    found = [recorded_answers.differences(*pair) for pair in zip(before[:EDITS], now, strict=True)]
    other = [lines for lines in found if lines]
    assert len(other) <= OTHERWISE, "\n".join(line for lines in other for line in lines)


def test_a_difference_is_told_by_its_place() -> None:
    one = {"a": [1.0, "x"], "b": None}
    assert recorded_answers.differences(one, {"a": [1.000001, "x"], "b": None}) == []
    assert recorded_answers.differences(one, {"a": [1.1, "y"]}) == [".a[0]: 1.0 is 1.1", ".a[1]: 'x' is 'y'"]
    assert recorded_answers.differences(one, {"a": [1.0], "b": 2}) == [
        ".a: [1.0, 'x'] is [1.0]",
        ".b: None is 2",
    ]
