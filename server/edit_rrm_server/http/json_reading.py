"""A body's JSON as a model: looked at before it is parsed, and off the event loop where it is large."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from edit_rrm.wire import Key
from edit_rrm_server.http.json_bounds import ONE_EDIT, JsonBounds, check_json
from edit_rrm_server.http.problems import refusal_of

Model = TypeVar("Model", bound=BaseModel)
Read = TypeVar("Read")

_LARGE_BYTES = 2**16


async def read_json(text: bytes, model: type[Model], bounds: JsonBounds = ONE_EDIT) -> Model:
    """The model. Raises RequestRefusedError: malformed_json, or invalid_request with the field's path."""

    def parsed() -> Model:
        check_json(text, bounds)
        try:
            return model.model_validate_json(text)
        except ValidationError as error:
            raise refusal_of(error) from None

    return await _in_place(text, parsed)


async def key_of(text: bytes) -> Key:
    """The `key` of a refused line where it can be told, so that it is known by it all the same."""

    def found() -> Key:
        try:
            return _KEYED.decode(text).key
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return None

    return await _in_place(text, found)


class _Keyed(msgspec.Struct):
    key: str | int | None = None


_KEYED = msgspec.json.Decoder(_Keyed)  # makes nothing of the other fields


async def _in_place(text: bytes, work: Callable[[], Read]) -> Read:
    return work() if len(text) <= _LARGE_BYTES else await asyncio.to_thread(work)
