"""Families of checkpoints in the real engine, each a tiny random one of its very class (tests/families).

Those that differ most; `benchmarks/checkpoint_families.py` looks at all of them in the same way.
"""

from typing import Any

import pytest

from families.looking import look_at, problems

KEYS = (
    "gemma3",  # SentencePiece, a BOS that the template writes and the tokenizer too
    "llava",  # SentencePiece that drops first spaces, strings for content, no system role
    "qwen3_5",  # hybrid: bfloat16 on CPUs, prefixes shared in large blocks
)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return look_at(KEYS, tmp_path_factory.mktemp("families"))


@pytest.mark.timeout(1800)  # three engines, one after the other
@pytest.mark.parametrize("key", KEYS)
def test_a_family_is_asked_read_and_shared_as_it_allows(key: str, seen: dict[str, dict[str, Any]]) -> None:
    assert problems(key, seen[key]) == []
