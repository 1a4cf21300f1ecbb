"""multipart/form-data read from memory-bounded chunks: named parts and their bytes, complete or refused."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from edit_rrm_server.errors import RequestRefusedError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


def boundary_of(content_type: str) -> bytes:
    """The boundary a multipart content type names. Raises RequestRefusedError (malformed_multipart)."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise RequestRefusedError("malformed_multipart", "the content type names no boundary")
    return boundary


async def read_parts(chunks: AsyncIterator[bytes], boundary: bytes) -> dict[str, bytes]:
    """The parts by name. Raises RequestRefusedError (malformed_multipart) unless the body is whole."""
    collector = _Collector()
    try:
        parser = MultipartParser(boundary, collector.callbacks())
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise RequestRefusedError("malformed_multipart", str(error)) from error
    if not collector.complete:
        raise RequestRefusedError("malformed_multipart", "the body ends before its last boundary")
    return collector.parts


class _Collector:
    """Gathers what the parser calls back with."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}
        self.complete = False
        self._field = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._data = bytearray()

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._part_begin,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._disposition = b""
        self._data = bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if bytes(self._field).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def _part_end(self) -> None:
        name = parse_options_header(self._disposition)[1].get(b"name", b"").decode("utf-8", "replace")
        if not name:
            raise RequestRefusedError("malformed_multipart", "a part has no name")
        if name in self.parts:
            raise RequestRefusedError("malformed_multipart", f"two parts are named {name!r}")
        self.parts[name] = bytes(self._data)

    def _end(self) -> None:
        self.complete = True
