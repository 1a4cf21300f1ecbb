"""docs/judges.md: its example is a judge that works, and its tables name what there is."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from edit_rrm.judges.advice import advice, sample_asks
from edit_rrm.judges.forms.answers import AnswerForm
from edit_rrm.judges.importing import IMPORTERS
from edit_rrm.judges.judge import Written
from edit_rrm.judges.shelf import judge_names
from edit_rrm.judges.spec import AskSpec, JudgeSpec, judge_spec
from edit_rrm.judges.written import WrittenJudge
from edit_rrm.tokens import Token

PAGE = (Path(__file__).parents[2] / "docs" / "judges.md").read_text(encoding="utf-8")


def test_the_worked_example_is_a_judge_and_reads_what_it_asks_for() -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S)
    judge = WrittenJudge(judge_spec(tomllib.loads(example), "docs/judges.md"))
    assert advice(judge) == ()
    edit, picture = sample_asks(judge)
    readings = [
        judge.read(edit, Written('{"reasoning": "done", "score": [9, 4]}', ()), ()),
        judge.read(picture, Written("5", (Token("5", 0, 0.0),)), ()),
    ]
    assert judge.judgement(readings, (), "gated").reward == pytest.approx(0.6)  # √(0.9 · 0.4) · 1


def test_every_form_every_judge_of_ours_and_every_importer_is_in_a_table() -> None:
    forms = [get_args(form.model_fields["form"].annotation)[0] for form in get_args(get_args(AnswerForm)[0])]
    importers = [name for name in IMPORTERS if not name.startswith("imgedit-")]
    for name in (*forms, *judge_names(), *importers, "imgedit-add"):
        assert f"`{name}`" in PAGE, name


def test_every_field_of_a_judge_file_is_told() -> None:
    fields = {*JudgeSpec.model_fields, *AskSpec.model_fields} - {"name", "about", "messages"}
    assert {name for name in fields if f"`{name}`" not in PAGE and f"`{name} =" not in PAGE} == set()
