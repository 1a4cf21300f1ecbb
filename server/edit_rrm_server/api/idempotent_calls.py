"""A call by its `Idempotency-Key`: who asks again joins what runs, or is given what came of it.

The header is that of the IETF's draft (httpapi-idempotency-key-header), its value any short text.
"""

import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from starlette.requests import Request

from edit_rrm.wire import ImageRef, RequestModel
from edit_rrm_server.api.idempotency import IdempotentAnswers
from edit_rrm_server.errors import RequestRefusedError
from edit_rrm_server.http.access import note
from edit_rrm_server.http.connection import run_for_caller
from edit_rrm_server.http.envelope import Envelope
from edit_rrm_server.life.service import Service

HEADER = "Idempotency-Key"
_MAX_CHARS = 255
PARAMETER: Mapping[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "calls of one caller with the same key and content are answered once",
    "schema": {"type": "string", "minLength": 1, "maxLength": _MAX_CHARS, "pattern": "^[!-~]+$"},
}
_OF_THE_WAITING = {"deadline_s", "priority"}
"""Fields that say how long a caller waits, which is less when it asks again, and not what it asks."""

AnswerT = TypeVar("AnswerT", bound=BaseModel)


class IdempotentCalls:
    """See the module. One for all routes of a service."""

    def __init__(self, service: Service) -> None:
        kept_bytes = service.settings.idempotent_answers_mib * 2**20
        self._answered: IdempotentAnswers[BaseModel] = IdempotentAnswers(HEADER, capacity_bytes=kept_bytes)
        service.caches.append(self._answered)

    async def once(
        self,
        request: Request,
        fingerprint: Callable[[], Coroutine[Any, Any, str]],
        work: Callable[[], Awaitable[AnswerT]],
        *,
        deadline_at: float,
        whole: Callable[[AnswerT], bool] = lambda answer: True,
    ) -> AnswerT:
        """What `work` answers, or has answered to the same caller, key and `fingerprint`.

        An answer that is not `whole` is given to those who wait for it already, and not kept. Where `work`
        raises, or its caller leaves, one of those who wait takes it over.

        Raises RequestRefusedError (invalid_request), DeadlineExceededError (monotonic `deadline_at`),
        CallerGoneError, and what `work` raises.
        """
        key = _key(request)
        if key is None:
            return await work()
        print_ = await run_for_caller(request, fingerprint(), deadline_at)
        keyed = {0: ((request.state.caller.name, key), print_)}
        while True:
            with self._answered.claim(keyed) as claim:
                if not claim.others:
                    answer = await work()
                    kept = whole(answer)
                    size_bytes = len(answer.model_dump_json()) if kept else 0
                    claim.settle(0, answer, keep=kept, size_bytes=size_bytes)
                    return answer
            found = await run_for_caller(request, claim.from_others(), deadline_at)
            if found:
                note(request, repeated=True)
                return cast("AnswerT", found[0])  # of this route: its path is in the fingerprint


def fingerprint_of(path: str, envelope: Envelope[Any], images: Mapping[str, ImageRef]) -> str:
    """A digest of all that the answer depends on; `images` are those of the body, by the path of their field.

    To be called in a thread: it reads every byte. Raises as `Envelope.encoded_images`.
    """
    body: RequestModel = envelope.body
    text = body.model_dump_json(exclude=_OF_THE_WAITING | {"source", "sources", "candidates"})

    def parts() -> Iterator[bytes]:  # one file's copy at a time
        yield path.encode()
        yield text.encode()
        for field, one in envelope.encoded_images(images).items():
            yield field.encode()
            yield one.encode() if isinstance(one, str) else one.whole()

    return digest_of(parts())


def digest_of(parts: Iterable[bytes]) -> str:
    """A digest of a list, which no other list has."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _key(request: Request) -> str | None:
    given = request.headers.get(HEADER)
    if given is None:
        return None
    if not 1 <= len(given) <= _MAX_CHARS or not all("!" <= character <= "~" for character in given):
        raise RequestRefusedError(
            "invalid_request", f"{HEADER}: expected 1 to {_MAX_CHARS} printable characters without spaces"
        )
    return given
