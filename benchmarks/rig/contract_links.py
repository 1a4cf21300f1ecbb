"""Chains of requests along the links of the OpenAPI document: what an answer gives goes into the next."""

import base64
import copy
from collections.abc import Callable
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.generation.stateful import run_state_machine_as_test
from schemathesis.generation.stateful.state_machine import StepInput, StepOutput

from edit_rrm.images import encode_png
from edit_rrm_shapes.world.dataset import make_edit
from rig.contract_cases import Outcome, bounded, outcome_of, whole

LONGEST_CHAIN = 6
FORM = "multipart/form-data"
START = "no link"
_EDIT = make_edit(8500, 0, 1)
_SOURCE = base64.b64encode(encode_png(_EDIT.picture())).decode()
"""An edit that the bundled model can take apart: without principles no chain goes on."""


def follow_links(
    document: dict[str, Any], url: str, chains: int, number: int, tell: Callable[[str, Outcome], None]
) -> None:
    """Sends up to `chains` chains of at most `LONGEST_CHAIN` requests, drawn by the seed `number`.

    `tell` gets the link that each request came by, or `START`, and what became of it.
    """
    schema = schemathesis.openapi.from_dict(_without_forms(document)).exclude(path_regex="^/v1/admin/")
    schema.config.generation.modes = [GenerationMode.POSITIVE]  # a link may mend what is wrong

    class Chain(schema.as_state_machine()):  # type: ignore[misc]
        def step(self, input: StepInput) -> StepOutput:  # noqa: A002
            case: Case[Any] = input.case
            _fill(case, input)
            answer = case.call(base_url=url)
            self.after_call(answer, case)
            link = input.transition.id if input.transition is not None and input.is_applied else START
            tell(link, outcome_of(case, answer, right=True))
            return StepOutput(answer, case)

    settings = hypothesis.settings(
        max_examples=chains,
        stateful_step_count=LONGEST_CHAIN,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(hypothesis.seed(number)(Chain), settings=settings)


def _fill(case: Case[Any], given: StepInput) -> None:
    """Has a request hold what the link gives, not merged with what was drawn, and an edit that is there."""
    bounded(case)
    if not isinstance(case.body, dict):
        return
    body: dict[str, Any] = case.body
    fed = {str(name) for _, name in given.applied_parameters}
    if given.transition is not None and given.transition.request_body is not None:
        found = given.transition.request_body.value
        values: Any = found.ok() if isinstance(found, Ok) else {}
        body.update({name: copy.deepcopy(values[name]) for name in fed & {"principles", "source"}})
    if "instruction" in body:
        whole(body, _SOURCE, kept=fed)
    if case.operation.path == "/v1/decompose":
        body["instruction"] = _EDIT.request.instruction
        body.pop("sampling", None)
    if body.get("source") is not None:
        body.pop("sources", None)


def _without_forms(document: dict[str, Any]) -> dict[str, Any]:
    """A link's fields belong into a body of JSON; of a form they are not the parts."""
    kept = copy.deepcopy(document)
    for methods in kept["paths"].values():
        for operation in methods.values():
            operation.get("requestBody", {}).get("content", {}).pop(FORM, None)
    return kept
