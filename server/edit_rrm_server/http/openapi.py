"""What OpenAPI says of bodies that the routes read themselves, of keys, and of every error by its code.

A route names the models of its body and the codes it may answer with; `describe` adds what these names mean.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from edit_rrm.wire import Problem
from edit_rrm_server.http.access import REQUEST_ID_HEADER
from edit_rrm_server.http.problems import KINDS, MEDIA_TYPE

UNASKED = ("bad_http", "header_timeout", "headers_too_large", "too_many_connections", "internal")
"""Codes that any address may answer with, open ones too."""
ASKED = (*UNASKED, "missing_key", "bad_key", "rate_limited")
"""Codes of every address that needs a key where keys are set."""
READING = (
    "malformed_json",
    "malformed_multipart",
    "body_timeout",
    "body_too_large",
    "unsupported_media_type",
    "invalid_request",
    "queue_full",
    "memory_full",
)
UNAVAILABLE = ("loading", "draining", "engine_dead")
OPEN: list[dict[str, list[str]]] = []
KEY: list[dict[str, list[str]]] = [{}, {"key": []}, {"password": []}]
"""Where the service has keys, else open: the empty requirement says so."""
ADMIN_KEY: list[dict[str, list[str]]] = [{"adminKey": []}]

_NOBODY_SEES = frozenset({"caller_gone"})
_REF = "#/components/schemas/{model}"
_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "one of EDIT_RRM_API_KEYS"},
    "password": {"type": "http", "scheme": "basic", "description": "such a key as the password of any name"},
    "adminKey": {"type": "http", "scheme": "bearer", "description": "one of EDIT_RRM_ADMIN_API_KEYS"},
}
_HEADERS = {
    REQUEST_ID_HEADER: {"description": "the caller's, or a new one", "schema": {"type": "string"}},
    "Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}},
}


@dataclass(frozen=True)
class Link:
    """An answer that feeds a POST to `path`: `fields` of its body are OpenAPI's runtime expressions
    over the answer and what it answers; the rest of the body is the caller's."""

    name: str
    path: str
    why: str
    fields: Mapping[str, Any]


def reference(model: type[BaseModel]) -> dict[str, str]:
    """The schema of a model that `describe` is told of."""
    return {"$ref": _REF.format(model=model.__name__)}


def any_code_but(*codes: str) -> tuple[str, ...]:
    """The codes of `KINDS` that a caller may see, without these."""
    return tuple(code for code in KINDS if code not in _NOBODY_SEES.union(codes))


def operation(
    codes: Iterable[str],
    *,
    body: Mapping[str, Any] | None = None,
    security: Sequence[Mapping[str, list[str]]] = KEY,
    answer: Mapping[str, Any] | None = None,
    parameters: Sequence[Mapping[str, Any]] = (),
    feeds: Iterable[Link] = (),
) -> dict[str, Any]:
    """A route's `openapi_extra`: its errors by status, its body and 200 by media type, who may call it, which
    requests its answer feeds."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(KINDS[code].status, []).append(code)
    ok: dict[str, Any] = {"headers": _headers()}
    if feeds:
        ok["links"] = _links(feeds)
    if answer is not None:
        ok["content"] = {media_type: {"schema": schema} for media_type, schema in answer.items()}
    made: dict[str, Any] = {
        "security": list(security),
        "responses": {"200": ok}
        | {str(status): _problems(status, by_status[status]) for status in sorted(by_status)},
    }
    if parameters:
        made["parameters"] = [dict(parameter) for parameter in parameters]
    if body is not None:
        content = {media_type: {"schema": schema} for media_type, schema in body.items()}
        made["requestBody"] = {"required": True, "content": content}
    return made


def json_or_form(model: type[BaseModel]) -> dict[str, Any]:
    """The body of a route that takes `model` as JSON, or as a form with the images beside it."""
    form = {
        "type": "object",
        "properties": {"request": reference(model)},
        "required": ["request"],
        "additionalProperties": {
            "type": "string",
            "format": "binary",
            "description": "a file for each `part` that the request names",
        },
    }
    return {"application/json": reference(model), "multipart/form-data": form}


def describe(app: FastAPI, accepted: Iterable[type[BaseModel]], answered: Iterable[type[BaseModel]]) -> None:
    """Makes `app.openapi` say all of this; the models are those that its routes refer to."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            models: list[Any] = [(model, "validation") for model in accepted]
            models += [(model, "serialization") for model in (*answered, Problem)]
            _, definitions = models_json_schema(models, ref_template=_REF)
            schema["components"] = {
                "schemas": dict(sorted(definitions["$defs"].items())),
                "headers": {_name(header): header_ for header, header_ in _HEADERS.items()},
                "securitySchemes": _SCHEMES,
            }
            schema["x-error-codes"] = {code: KINDS[code]._asdict() for code in any_code_but()}
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _links(found: Iterable[Link]) -> dict[str, Any]:
    return {
        link.name: {
            "operationRef": f"#/paths/{link.path.replace('/', '~1')}/post",
            "description": f"{link.why}; the rest of the body is the caller's",
            "requestBody": dict(link.fields),
        }
        for link in found
    }


def _problems(status: int, codes: Sequence[str]) -> dict[str, Any]:
    own = {"properties": {"status": {"const": status}, "code": {"enum": list(codes)}}}
    waits = status in (429, 503)
    return {
        "description": "; ".join(f"`{code}`: {KINDS[code].title}" for code in codes),
        "headers": _headers("Retry-After") if waits else _headers(),
        "content": {MEDIA_TYPE: {"schema": {"allOf": [reference(Problem), own]}}},
    }


def _headers(*more: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{_name(name)}"} for name in (REQUEST_ID_HEADER, *more)}


def _name(header: str) -> str:
    return header.replace("-", "")
