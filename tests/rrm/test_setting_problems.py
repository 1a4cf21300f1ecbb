"""Wrong settings are told in our own words: the name, what was expected, what came, and the nearest name."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from edit_rrm.setting_problems import problems


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Sampling(Strict):
    samples_per_group: int = Field(default=8, ge=2)
    temperature: float = Field(default=1.0, gt=0.0)


class Grpo(Strict):
    name: Literal["grpo"] = "grpo"
    eta: float = 1.0


class Nft(Strict):
    name: Literal["nft"] = "nft"
    beta: float = 1.0


def named(value: Any) -> str:
    return str(value["name"])


class Run(Strict):
    sampling: Sampling = Sampling()
    algorithm: Annotated[Annotated[Grpo, Tag("grpo")] | Annotated[Nft, Tag("nft")], Discriminator(named)] = (
        Grpo()
    )
    dtype: Literal["float32", "bfloat16"] = "float32"
    resume: bool = True
    out: str
    files: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> "Run":
        if self.out == "here" and not self.resume:
            raise ValueError("out here needs resume")
        return self


def told(**values: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Run.model_validate({"out": "runs/x", **values})
    return problems(caught.value, Run)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"sampling": {"samples_per_edit": 4}},
            "sampling.samples_per_edit is no setting; did you mean sampling.samples_per_group?",
        ),
        ({"temperature": 0.7}, "temperature is no setting; did you mean sampling.temperature?"),
        ({"zzz": 1}, "zzz is no setting"),
        (
            {"algorithm": {"name": "nft", "bta": 1}},
            "algorithm.bta is no setting; did you mean algorithm.beta?",
        ),
        (
            {"algorithm": {"name": "nft", "eta": 1}},
            "algorithm.eta is no setting; did you mean algorithm.beta?",
        ),
        ({"sampling": {"samples_per_group": 1}}, "sampling.samples_per_group: expected at least 2, got 1"),
        ({"sampling": {"temperature": 0}}, "sampling.temperature: expected more than 0.0, got 0"),
        (
            {"sampling": {"samples_per_group": "x"}},
            "sampling.samples_per_group: expected a whole number, got 'x'",
        ),
        ({"sampling": 3}, "sampling: expected a section: names with values, got 3"),
        ({"dtype": "fp8"}, "dtype: expected 'float32' or 'bfloat16', got 'fp8'"),
        ({"resume": "perhaps"}, "resume: expected true or false, got 'perhaps'"),
        ({"files": 3}, "files: expected a list, got 3"),
        ({"out": "here", "resume": False}, "out here needs resume"),
    ],
)
def test_a_wrong_setting_is_told(values: dict[str, Any], said: str) -> None:
    assert told(**values) == [said]


def test_every_problem_is_told_and_one_that_is_missing_is_called_so() -> None:
    with pytest.raises(ValidationError) as caught:
        Run.model_validate({"resume": 7, "sampling": {"samples_per_group": 2.5}})
    assert problems(caught.value, Run) == [
        "sampling.samples_per_group: expected a whole number, got 2.5",
        "resume: expected true or false, got 7",
        "out is missing: it has no default",
    ]


def test_a_model_that_hides_its_values_shows_none() -> None:
    class Secret(Strict):
        model_config = ConfigDict(hide_input_in_errors=True)
        key: int

    with pytest.raises(ValidationError) as caught:
        Secret.model_validate({"key": "hunter2"})
    assert problems(caught.value, Secret) == ["key: expected a whole number"]
    assert problems(caught.value) == ["key: expected a whole number"]
