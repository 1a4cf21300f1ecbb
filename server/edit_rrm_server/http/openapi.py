"""What OpenAPI says of bodies that the routes read themselves, as JSON or multipart."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from edit_rrm.wire import (
    DecomposeRequest,
    Problem,
    ScoreRequest,
    StreamAnswer,
    StreamFailure,
    StreamRequest,
)
from edit_rrm_server.http.problems import KINDS, MEDIA_TYPE

_MODELS = (ScoreRequest, StreamRequest, StreamAnswer, StreamFailure, DecomposeRequest, Problem)
_REF = "#/components/schemas/{model}"


def request_body(model: type[BaseModel]) -> dict[str, Any]:
    """The `requestBody` of a route that takes `model`, and its errors."""
    reference = {"$ref": _REF.format(model=model.__name__)}
    parts = {
        "type": "object",
        "properties": {"request": reference},
        "required": ["request"],
        "additionalProperties": {"type": "string", "format": "binary"},
    }
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": reference}, "multipart/form-data": {"schema": parts}},
        },
        "responses": {str(status): _problem_response(status) for status in sorted(_statuses())},
    }


def stream_body() -> dict[str, Any]:
    """The `requestBody` and 200 of the stream: one model a line."""
    line = {"$ref": _REF.format(model=StreamRequest.__name__)}
    answers = [{"$ref": _REF.format(model=model.__name__)} for model in (StreamAnswer, StreamFailure)]
    return {
        "requestBody": {"required": True, "content": {"application/x-ndjson": {"schema": line}}},
        "responses": {
            "200": {
                "description": "a line for each request line, in any order",
                "content": {"application/x-ndjson": {"schema": {"anyOf": answers}}},
            },
            **{str(status): _problem_response(status) for status in (401, 403, 415, 429, 503)},
        },
    }


def describe(app: FastAPI) -> None:
    """Makes `app.openapi` include the models above."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            models = [(model, "validation") for model in _MODELS]
            _, definitions = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type]
            components = schema.setdefault("components", {}).setdefault("schemas", {})
            components.update(definitions["$defs"])
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _statuses() -> set[int]:
    return {kind.status for kind in KINDS.values() if kind.status not in (404, 405, 499)}


def _problem_response(status: int) -> dict[str, Any]:
    codes = ", ".join(code for code, kind in KINDS.items() if kind.status == status)
    return {
        "description": codes,
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model=Problem.__name__)}}},
    }
