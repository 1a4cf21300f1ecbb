"""The five forms an answer may have, and how each becomes subscores from 0 to 1.

A number that the text does not hold, holds twice in two values, or holds out of range is a TraceError,
never a middle value. Texts are whole: who reads them has refused those that were cut off.
"""

from typing import Annotated, Literal

from pydantic import Field

from edit_rrm.judges.forms.answer_form import Form, Name, Subscores
from edit_rrm.judges.forms.json_scores import JsonScores
from edit_rrm.judges.forms.labelled_scores import LabelledScores
from edit_rrm.judges.forms.one_token import DigitExpectation, YesNo


class TraceForm(Form):
    """Ours: a verdict for every principle, then the score (traces.py, judges/texts/zero_shot_answers.py)."""

    form: Literal["trace"]
    format: Literal["1", "json"] = "json"

    @property
    def gives_verdicts(self) -> bool:
        """It does."""
        return True


AnswerForm = Annotated[
    TraceForm | JsonScores | LabelledScores | DigitExpectation | YesNo, Field(discriminator="form")
]

__all__ = [
    "AnswerForm",
    "DigitExpectation",
    "Form",
    "JsonScores",
    "LabelledScores",
    "Name",
    "Subscores",
    "TraceForm",
    "YesNo",
]
