"""Parts of a list: together they are the list, each once."""

from pathlib import Path

import pytest

from edit_rrm.shard import WHOLE, Shard


def test_parts_are_every_nth_and_together_the_whole() -> None:
    parts = [list(Shard.parse(f"{number}/3").of(range(7))) for number in (1, 2, 3)]
    assert parts == [[0, 3, 6], [1, 4], [2, 5]]
    assert list(WHOLE.of(range(3))) == [0, 1, 2]


def test_a_part_has_a_file_of_its_own_and_says_how_all_are_joined() -> None:
    assert Shard(2, 8).file(Path("a/rows.jsonl")) == Path("a/rows.2-of-8.jsonl")
    assert WHOLE.file(Path("a/rows.jsonl")) == Path("a/rows.jsonl")
    assert Shard(2, 8).join(Path("a/rows.jsonl")) == "cat a/rows.*-of-8.jsonl > a/rows.jsonl"


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/2/3", "-1/2", "a/b"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a part like 2/8"):
        Shard.parse(text)
