"""The shapes world's teachers, verifier and decomposer behind the endpoint interface, in this process.

They are asked with the prompts of the `trained` profile like any endpoint, answer in text, and now and then
write something unusable. What they know and no VLM does is which edit a picture belongs to: by its `shapes:`
reference, so nothing needs to be drawn. Tokens are counted in words.
"""

import random
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from edit_rrm.judges.trained import principle_lines
from edit_rrm.principles import Category
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm.traces import render_trace
from edit_rrm_shapes.teachers.habits import TEACHERS, VERIFIER, Habits, judge
from edit_rrm_shapes.world.gold import Check
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.endpoints.endpoint import ChatAnswer, ChatRequest
from edit_rrm_training.endpoints.kinds import EndpointKind
from edit_rrm_training.endpoints.usage import Usage
from edit_rrm_training.errors import EndpointError

CUT_SHORT = 0.01
"""Share of answers of every simulated endpoint that end in the middle."""
FORGETS_QUALITY = 0.02
"""Share of decompositions without a quality principle."""
HABITS: dict[str, Habits] = {**TEACHERS, "verifier": VERIFIER}
_PRINCIPLE = re.compile(r"^\d+\. (?:follow|keep|quality): (.+)$", re.MULTILINE)


class SimulatedSettings(BaseModel):
    """An `[endpoints.NAME]` table with `kind = "simulated"`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["simulated"]
    role: str
    """`decomposer`, `verifier`, or a teacher of `habits.py`."""

    @model_validator(mode="after")
    def _known(self) -> "SimulatedSettings":
        if self.role not in (known := ["decomposer", *HABITS]):
            raise ValueError(f"unknown role {self.role!r}; expected one of {known}")
        return self


def text_of(prompt: Prompt) -> str:
    """The words of a prompt, without its pictures."""
    return "\n".join(part for m in prompt.messages for part in m.parts if not isinstance(part, ImageSlot))


def simulated_answer(role: str, text: str, picture: ShapesRef, seed: int, temperature: float) -> str:
    """What `role` writes when it is asked `text` about a picture. Raises EndpointError for other worlds'
    principles."""
    rng = random.Random(f"{role}-{picture}-{seed}-{temperature}")
    written = (
        _decompose(picture, rng)
        if role == "decomposer"
        else _verify(HABITS[role], text, picture, temperature, rng)
    )
    return written[: len(written) // 2] if rng.random() < CUT_SHORT else written


def _decompose(picture: ShapesRef, rng: random.Random) -> str:
    forgets = rng.random() < FORGETS_QUALITY
    checks = [c for c in picture.edit().checks if not (forgets and c.category is Category.QUALITY)]
    return principle_lines([(check.category, check.question) for check in checks])


def _verify(habits: Habits, text: str, picture: ShapesRef, temperature: float, rng: random.Random) -> str:
    edit = picture.edit()
    by_question: dict[str, Check] = {check.question: check for check in edit.checks}
    questions = _PRINCIPLE.findall(text)
    unknown = [question for question in questions if question not in by_question]
    if unknown or not questions or picture.candidate is None:
        raise EndpointError("refused", f"no principles of edit {edit.id}: {unknown or text[-80:]!r}")
    checks = tuple(by_question[question] for question in questions)
    opinion = judge(edit, edit.candidates[picture.candidate], checks, habits, temperature, rng)
    return render_trace([(f.evidence, f.met) for f in opinion.findings], opinion.score)


class SimulatedEndpoint:
    """Satisfies `Endpoint`."""

    concurrency = 1

    def __init__(self, name: str, role: str) -> None:
        self.name = name
        self._role = role

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Answers at once. Raises EndpointError for a picture that is no `shapes:` reference."""
        reference = request.pictures.get(ImageSlot.CANDIDATE, request.pictures[ImageSlot.SOURCE])
        picture = ShapesRef.parse(reference)
        if picture is None:
            raise EndpointError("refused", f"{self.name} knows shapes: pictures only, not {reference!r:.60}")
        text = text_of(request.prompt)
        written = simulated_answer(self._role, text, picture, request.seed, request.temperature)
        usage = Usage(requests=1, prompt_tokens=len(text.split()), completion_tokens=len(written.split()))
        return ChatAnswer(written, usage)

    async def close(self) -> None:
        """Holds nothing."""


def _open(name: str, settings: SimulatedSettings) -> SimulatedEndpoint:
    return SimulatedEndpoint(name, settings.role)


KIND = EndpointKind(SimulatedSettings, _open)


def pipeline_file() -> Path:
    """The configuration of a pipeline all of whose endpoints are simulated."""
    return Path(__file__).with_name("pipeline.toml")
