"""A dotted name reaches into sections; every problem is named by its place."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from edit_rrm.nested_settings import flat, problems, put


class Inner(BaseModel):
    rank: int


class Outer(BaseModel):
    lora: Inner
    steps: int


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


def test_every_problem_is_named_by_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"lora": {"rank": "x"}})
    first, second = problems(caught.value)
    assert first.startswith("lora.rank: ")
    assert second == "steps: Field required"
