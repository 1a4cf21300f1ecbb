"""What flows between the steps of the pipeline: one frozen record a step, one JSONL line each."""

from pydantic import BaseModel, ConfigDict, Field

from edit_rrm.principles import Principle
from edit_rrm.row_ids import RowId
from edit_rrm.traces import Trace
from edit_rrm_training.data.pictures import PictureRef
from edit_rrm_training.endpoints.usage import Usage


class Row(BaseModel):
    """A line of a step's file. `id` is unique in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: RowId


class EditRow(Row):
    """Where the pipeline starts: a source image and what is asked of it."""

    instruction: str = Field(min_length=1)
    source: PictureRef
    category: str | None = None


class DecomposedEdit(EditRow):
    """After `decompose`: with its principle set P."""

    principles: tuple[Principle, ...] = Field(min_length=1)
    endpoint: str
    usage: Usage = Usage()


class Quadruple(Row):
    """After `candidates`: (edited image, source image, instruction, P), what the RRM judges."""

    edit: RowId
    instruction: str = Field(min_length=1)
    source: PictureRef
    candidate: PictureRef
    principles: tuple[Principle, ...] = Field(min_length=1)
    editor: str
    category: str | None = None


class Judgement(Row):
    """A trace as read: a verdict and its evidence a principle, and the score τ, 0 to 10."""

    quadruple: RowId
    verdicts: tuple[bool, ...] = Field(min_length=1)
    evidence: tuple[str, ...]
    score: float = Field(ge=0.0, le=10.0)
    usage: Usage = Usage()


class TraceRow(Judgement):
    """After `reason`: what a teacher wrote; `number` is the trace's index among its quadruple's."""

    number: int = Field(ge=0)
    teacher: str


class GoldRow(Judgement):
    """After `verify`: the verdicts that count as gold, with the verifier's reasons."""

    verifier: str


class FailedRow(Row):
    """Why a step has no row for an input, and what it had cost until then."""

    step: str
    kind: str
    reason: str
    text: str = ""
    """What the model wrote last, where it wrote something."""
    usage: Usage = Usage()


def one_line(evidence: str) -> str:
    """Evidence as trace format 1 holds it: one line, never empty."""
    return " ".join(evidence.split()) or "no reason given"


def read_findings(trace: Trace) -> tuple[tuple[bool, ...], tuple[str, ...]]:
    """The verdicts and the evidence of a parsed trace."""
    return (
        tuple(verdict.met for verdict in trace.verdicts),
        tuple(one_line(verdict.evidence) for verdict in trace.verdicts),
    )
