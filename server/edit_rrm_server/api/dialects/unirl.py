"""UniRL's remote reward backend: POST /score, GET /rewards, and the rewards in GET /health.

Verified in Tencent-Hunyuan/UniRL (unirl/reward/remote.py; unirl-reward-service: schemas.py, server.py,
direct_server.py, scorers/editscore.py): an edit is a history of two turns, the source and the edited image;
a result holds a mapping of sub-metrics per reward, of which the client takes the first; a reward that
failed is missing there and named in `errors`, which stops the step; identities are echoed and checked.
A status of 4xx other than 429 is raised at once, the others are tried again after a pause. A key of
idempotency repeats its answer; one that comes with another payload is refused.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from edit_rrm.principles import Category
from edit_rrm.wire import MAX_SOURCES, CandidateAnswer, CandidateFailed
from edit_rrm_server.api import probes
from edit_rrm_server.api.dialects.holding import Holding
from edit_rrm_server.api.dialects.items import MAX_EDITS, Item, guards_in
from edit_rrm_server.api.idempotency import IdempotentAnswers
from edit_rrm_server.errors import RequestRefusedError
from edit_rrm_server.http.openapi import ASKED, READING, UNAVAILABLE, operation, reference

REWARD = "edit_rrm"
SUB_METRICS = ("overall", *(category.value for category in Category))
_PROTOCOL = "1"
_MAX_METRIC = 10.0

Id = str | int | None


class _Model(BaseModel):
    """The trainer may add fields: they are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class HistoryTurn(_Model):
    """One turn: the instruction and an image. Images as CUDA handles and videos are not served.

    UniRL itself sends the first reference image alone; of a trainer that has several, the source turn may
    hold a list, in order.
    """

    text: str
    image_b64: str | Annotated[list[str], Field(fail_fast=True)] | None = None

    @property
    def images(self) -> tuple[str, ...]:
        """The turn's images, in order."""
        given = self.image_b64
        return () if not given else (given,) if isinstance(given, str) else tuple(given)


class Identity(_Model):
    """What an answer echoes; `scorer_version` becomes the model's name and weights digest."""

    request_id: Id = None
    sample_id: Id = None
    group_id: Id = None
    source_rank: Id = None
    policy_version: Id = None
    scorer_version: Id = None
    idempotency_key: str | None = None


class RewardRequest(Identity):
    """One edit to score."""

    history: Annotated[list[HistoryTurn], Field(fail_fast=True)]
    required_rewards: Annotated[list[str], Field(fail_fast=True)] = Field(min_length=1)
    metadata: dict[str, Any] | None = None
    """`guards` in it is what /v1/score takes under that name."""


class ScoreBatch(_Model):
    """The body of POST /score."""

    protocol_version: str = _PROTOCOL
    # Here and above only the first fault of a list is told: a batch may have a hundred thousand.
    requests: Annotated[list[RewardRequest], Field(fail_fast=True, max_length=MAX_EDITS)]
    grad_mode: Literal[False] = False


class RewardsAnswer(BaseModel):
    """200 of GET /rewards: the names that `required_rewards` may have."""

    rewards: list[str]


class BatchAnswer(BaseModel):
    """The answer: for each request its sub-metrics (0 to 10) by reward, or its errors by reward."""

    results: list[dict[str, dict[str, float]]]
    errors: list[dict[str, str]]
    identities: list[Identity]
    protocol_version: str = _PROTOCOL


ACCEPTED = (ScoreBatch,)
ANSWERED = (BatchAnswer, RewardsAnswer)


@dataclass(frozen=True)
class _ItemAnswer:
    """One request's sub-metrics, or why it has none, and the model that it is of."""

    model: str
    metrics: Mapping[str, float] | None
    error: str | None = None


def router(holding: Holding) -> APIRouter:
    """The three routes; /health takes the place of the probe's."""
    routes = APIRouter()
    answered: IdempotentAnswers[_ItemAnswer] = IdempotentAnswers("requests.{place}.idempotency_key")
    holding.service.caches.append(answered)

    @routes.get("/health", include_in_schema=False)
    async def health() -> dict[str, Any]:
        return {**(await probes.health()).model_dump(), "rewards": {REWARD: list(SUB_METRICS)}}

    @routes.get("/rewards", response_model=RewardsAnswer, openapi_extra=operation(ASKED))
    async def rewards() -> RewardsAnswer:
        """UniRL: the rewards that this service has."""
        return RewardsAnswer(rewards=[REWARD])

    @routes.post(
        "/score",
        response_model=BatchAnswer,
        openapi_extra=operation(
            (*ASKED, *READING, *UNAVAILABLE, "deadline_exceeded"),
            body={"application/json": reference(ScoreBatch)},
        ),
    )
    async def score(request: Request) -> BatchAnswer:
        """UniRL: scores a batch of edits; one that has no score is missing and named in `errors`."""
        async with holding.body(request, ScoreBatch) as batch:
            _check(batch, holding.service.model.name)
            found = await holding.run(request, _answers(holding, answered, request, batch.requests))
        return BatchAnswer(
            results=[{} if a.metrics is None else {REWARD: dict(a.metrics)} for a in found],
            errors=[{} if a.error is None else {REWARD: a.error} for a in found],
            identities=[_identity(each, a.model) for each, a in zip(batch.requests, found, strict=True)],
        )

    return routes


def _check(batch: ScoreBatch, version: str) -> None:
    """Raises RequestRefusedError for what no item of the batch could be served with."""
    if batch.protocol_version != _PROTOCOL:
        raise RequestRefusedError(
            "invalid_request",
            f"protocol_version: expected {_PROTOCOL!r}, got {batch.protocol_version[:20]!r}",
        )
    for place, each in enumerate(batch.requests):
        if set(each.required_rewards) != {REWARD}:
            raise RequestRefusedError(
                "invalid_request", f"requests.{place}.required_rewards: this service has only {REWARD!r}"
            )
    _check_version(batch.requests, version)


def _check_version(requests: Sequence[RewardRequest], version: str) -> None:
    for place, each in enumerate(requests):
        if each.scorer_version not in (None, version):
            raise RequestRefusedError(
                "invalid_request", f"requests.{place}.scorer_version: this service is {version!r}"
            )


async def _answers(
    holding: Holding,
    answered: IdempotentAnswers[_ItemAnswer],
    request: Request,
    requests: Sequence[RewardRequest],
) -> list[_ItemAnswer]:
    """An answer for each request; those with a key that is known or in flight are not scored again."""
    items = [_item(each) for each in requests]
    prints = await asyncio.to_thread(lambda: [_fingerprint(each) for each in requests])
    answers: dict[int, _ItemAnswer] = {
        place: _ItemAnswer(holding.service.model.name, None, item)
        for place, item in enumerate(items)
        if isinstance(item, str)
    }
    caller = request.state.caller.name
    keys = {place: each.idempotency_key for place, each in enumerate(requests) if place not in answers}
    while keys:
        keyed = {place: ((caller, key), prints[place]) for place, key in keys.items() if key}
        with answered.claim(keyed) as claim:
            mine = [place for place in keys if place not in claim.others]
            edits = [item for place in mine if isinstance(item := items[place], Item)]
            held = await holding.score(request, edits)
            _check_version(requests, held.model)  # the weights may have been replaced meanwhile
            for place, result in zip(mine, held.results, strict=True):
                answers[place] = _item_answer(held.model, result)
                claim.settle(place, answers[place], keep=answers[place].error is None)
        answers.update(await claim.from_others())
        keys = {place: key for place, key in keys.items() if place not in answers}
    return [answers[place] for place in range(len(requests))]


def _item(each: RewardRequest) -> Item | str:
    """The edit, or why the request is none."""
    if len(each.history) != 2:
        return f"invalid_request: history: expected source and edited image, got {len(each.history)} turns"
    source, edited = each.history
    if not source.images or not edited.images or not all(source.images):
        return "invalid_request: history: each turn needs an image_b64"
    if len(source.images) > MAX_SOURCES:
        return f"invalid_request: history: expected 1 to {MAX_SOURCES} sources, got {len(source.images)}"
    if len(edited.images) > 1:
        return f"invalid_request: history: expected one edited image, got {len(edited.images)}"
    return Item(source.text, source.images, edited.images[0], guards_in(each.metadata))


def _fingerprint(each: RewardRequest) -> str:
    """A digest of all that the answer depends on."""
    digest = hashlib.sha256()
    for turn in each.history:
        for text in (turn.text, str(len(turn.images)), *turn.images):
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big"))
            digest.update(encoded)
    digest.update(guards_in(each.metadata).encode())
    return digest.hexdigest()


def _item_answer(model: str, result: CandidateAnswer) -> _ItemAnswer:
    """`overall` first, then the categories that have a verdict, all from 0 to 10."""
    if isinstance(result, CandidateFailed):
        return _ItemAnswer(model, None, f"{result.error.code}: {result.error.detail}")
    shares = {category.value: share for category, share in result.categories.items()}
    metrics = {"overall": result.reward, **{n: shares[n] for n in SUB_METRICS if n in shares}}
    return _ItemAnswer(model, {name: _MAX_METRIC * value for name, value in metrics.items()})


def _identity(each: RewardRequest, version: str) -> Identity:
    echoed = each.model_dump(include=set(Identity.model_fields))
    return Identity.model_validate({**echoed, "scorer_version": version})
