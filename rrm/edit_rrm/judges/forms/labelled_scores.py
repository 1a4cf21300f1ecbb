"""The answer form `labelled_scores`: lines such as "Text faithfulness: 3.5", or sections with one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from edit_rrm.errors import TraceError
from edit_rrm.judges.forms.answer_form import Name, Ranged, Subscores, plain
from edit_rrm.tokens import Token

_NUMBER = r"[+-]?[0-9]{1,9}(?:[.][0-9]{1,9})?"
# After the number: what it is out of, and a remark. A dash and another number would be a span: "3-4".
_STATED = re.compile(rf"({_NUMBER})(?:\s*(?:/|out of)\s*({_NUMBER}))?(?:\s*\(.*|\s*[–—-](?!\s*[0-9]).*)?")
_NOT_APPLICABLE = re.compile(
    r"(?:n/?a|not applicable|none|null)(?:\s*\(.*|\s+[–—-]\s.*)?|[–—-]", re.IGNORECASE
)
_MARKUP = re.compile(r"[*_`#|]+")
_LIST_MARKS = re.compile(r"(?:\s*(?:[-•+]|[0-9]{1,2}[.)]))*\s*")
_TOP_HEADING = re.compile(r"\s*#(?!#)")
_AROUND = " \t\"'.,;[]"


class LabelledScores(Ranged):
    """Lines that begin with a label, perhaps with Markdown around it.

    With `number_label` a label heads a section, and the number is in the section's line of that label:
    "## Score: 3.5". A heading of the first level that is no label ends a section.
    """

    form: Literal["labelled_scores"]
    labels: dict[Name, tuple[str, ...]] = Field(min_length=1, description="a subscore's labels, any case")
    optional: tuple[Name, ...] = Field(default=(), description='those that may be "N/A"')
    number_label: str | None = Field(
        default=None, description="the label of the number in a section; absent: it is on the label's line"
    )

    @property
    def subscore_names(self) -> tuple[str, ...]:
        """One for each label."""
        return tuple(self.labels)

    @property
    def optional_names(self) -> tuple[str, ...]:
        """As the judge says."""
        return self.optional

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        unknown = sorted(set(self.optional) - set(self.labels))
        if unknown:
            raise ValueError(f"optional names {unknown[0]!r}, which has no label")
        without = [name for name, labels in self.labels.items() if not labels]
        if without:
            raise ValueError(f"{without[0]!r} has no label")
        spelled = [plain(label) for labels in self.labels.values() for label in labels]
        if self.number_label is not None:
            spelled.append(plain(self.number_label))
        if "" in spelled or len(set(spelled)) < len(spelled):
            raise ValueError("a label is empty, or stands for two things")
        return self

    def read(self, text: str, tokens: Sequence[Token]) -> Subscores:
        """See `Form.read`."""
        found: dict[str, float | None] = {}
        for name, value in self._stated(text):
            if value is None and name not in self.optional:
                raise TraceError(f"{name} is N/A, which this judge does not allow", text)
            scaled = None if value is None else self.scaled(value, name, text)
            if found.setdefault(name, scaled) != scaled:
                raise TraceError(f"{name} stands there twice, with different numbers", text)
        missing = [name for name in self.labels if name not in found]
        if missing:
            raise TraceError(f"no number for {', '.join(missing)}", text)
        return {name: found[name] for name in self.labels}

    def _stated(self, text: str) -> Iterator[tuple[str, float | None]]:
        """(subscore, number) as the text states them, one after the other; None for N/A."""
        by_label: Mapping[str, str] = {
            plain(label): name for name, labels in self.labels.items() for label in labels
        }
        of_number = None if self.number_label is None else plain(self.number_label)
        section: str | None = None
        for line in text.splitlines():
            label, rest = _label_and_rest(line)
            if label in by_label:
                section = by_label[label]
                # What heads a section, or begins a sentence, need not be followed by a number.
                prose = of_number is not None or not any(c.isdigit() for c in rest)
            elif label == of_number and section is not None:
                prose = False
            else:
                section = None if _TOP_HEADING.match(line) else section
                continue
            stated = _number(rest, self.range[1])
            if stated is not None:
                yield section, stated[0]
            elif not prose:
                raise TraceError(f"{section} is no number: {rest[:40]!r}", text)


def _label_and_rest(line: str) -> tuple[str, str]:
    """What stands before a line's first colon, plain, and what stands after it, without markup."""
    bare = _MARKUP.sub(" ", line)
    marks = _LIST_MARKS.match(bare)
    assert marks is not None
    label, _, rest = bare[marks.end() :].replace("：", ":", 1).partition(":")
    return plain(re.sub(r"\([^()]*\)", "", label)), rest.strip(_AROUND)


def _number(written: str, highest: float) -> tuple[float | None] | None:
    """A number or N/A (None) as a tuple of one; None for anything else."""
    if _NOT_APPLICABLE.fullmatch(written):
        return (None,)
    match = _STATED.fullmatch(written)
    if match is None or (match[2] is not None and float(match[2]) != highest):
        return None
    return (float(match[1]),)
