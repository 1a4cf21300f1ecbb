"""The tokens that state a trace's score, and a run whose advantages teach these alone."""

import pytest

from edit_rrm_training.gcpo.credit.score_tokens import states_score


@pytest.mark.parametrize(
    ("tokens", "stating"),
    [
        (["0 ", "<score", ">", "7", ".", "3", "</", "score", ">", "<end>"], ["7", ".", "3"]),
        (["0 ", "<sc", "ore>1", "0.", "0</sc", "ore>"], ["ore>1", "0.", "0</sc"]),
        (["<score>", "1", "</score>", "<score>", "9", "."], ["9", "."]),
        (["<score>", "</score>"], []),
        (["no", " score"], []),
        ([], []),
    ],
)
def test_what_stands_between_the_last_tags_states_the_score(tokens: list[str], stating: list[str]) -> None:
    found = states_score(tokens)
    assert len(found) == len(tokens)
    assert [token for token, states in zip(tokens, found, strict=True) if states] == stating
