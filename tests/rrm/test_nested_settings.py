"""A dotted name reaches into sections."""

from typing import Any

from edit_rrm.nested_settings import flat, put


def test_a_dotted_name_enters_sections_and_makes_those_that_are_missing() -> None:
    inner = {"rank": 1, "alpha": 2}
    values: dict[str, Any] = {"lora": inner, "vllm": None}
    put(values, "lora.rank", 8)
    put(values, "vllm.mode", "server")
    put(values, "steps", 3)
    assert values == {"lora": {"rank": 8, "alpha": 2}, "vllm": {"mode": "server"}, "steps": 3}
    assert inner["rank"] == 1  # what was read is not changed


def test_nested_values_are_found_by_their_dotted_names() -> None:
    values = {"lora": {"rank": 8, "inner": {"a": None}}, "weights": {}, "steps": 3}
    assert flat(values) == {"lora.rank": 8, "lora.inner.a": None, "weights": {}, "steps": 3}
