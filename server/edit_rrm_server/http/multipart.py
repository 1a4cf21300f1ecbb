"""multipart/form-data read from memory-bounded chunks: named parts and their bytes, complete or refused."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from edit_rrm_server.errors import RequestRefusedError
from edit_rrm_server.http.problems import shortened

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


MAX_PARTS = 256
"""Each is an image or the request itself, and a request names fewer images."""
_SMALL_BYTES = 2**12
_LONGEST_TYPE = 1000


def boundary_of(content_type: str) -> bytes:
    """The boundary a multipart content type names. Raises RequestRefusedError (malformed_multipart)."""
    if len(content_type) > _LONGEST_TYPE:  # of ten thousand parameters, say
        raise RequestRefusedError(
            "malformed_multipart", f"the content type has more than {_LONGEST_TYPE} characters"
        )
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise RequestRefusedError("malformed_multipart", "the content type names no boundary")
    return boundary


class Part:
    """A part's bytes, in the pieces they came in: who needs them whole joins them, off the event loop."""

    def __init__(self) -> None:
        self._pieces: list[bytes | bytearray | memoryview] = []

    def add(self, data: bytes, start: int, end: int) -> None:
        """Those of a chunk, which is kept alive rather than copied where it is hardly more than they are.

        Small ones that follow each other are one piece: an object for every byte would be a hundred times
        the body.
        """
        if 2 * (end - start) > len(data) >= _SMALL_BYTES and isinstance(data, bytes):
            self._pieces.append(memoryview(data)[start:end])
        elif self._pieces and isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += data[start:end]
        else:
            self._pieces.append(bytearray(data[start:end]))

    def whole(self) -> bytes:
        """All of them; whoever asks again is given the same ones."""
        whole = b"".join(self._pieces)
        self._pieces = [whole]
        return whole


async def read_parts(chunks: AsyncIterator[bytes], boundary: bytes) -> dict[str, Part]:
    """The parts by name. Raises RequestRefusedError (malformed_multipart) unless the body is whole."""
    collector = _Collector()
    delimiter, boundaries = b"\r\n--" + boundary, 0
    try:
        parser = MultipartParser(boundary, collector.callbacks())
        async for chunk in chunks:
            # Counted before they are parsed: most of a body may be boundaries that end nothing.
            found = chunk.count(delimiter)
            boundaries += found
            if boundaries > MAX_PARTS + 1:
                raise _too_many_parts()
            if found or not collector.amid_data or b"\r" in chunk[-len(delimiter) :]:
                parser.write(chunk)
                collector.amid_data = collector.data_until(chunk)
            else:  # the parser would look for the boundary once more, and end as it began
                collector.add(chunk)
        parser.finalize()
    except FormParserError as error:
        raise RequestRefusedError("malformed_multipart", str(error)) from error
    if not collector.complete:
        raise RequestRefusedError("malformed_multipart", "the body ends before its last boundary")
    return collector.parts


class _Collector:
    """Gathers what the parser calls back with."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.complete = False
        self.amid_data = False
        """The last chunk ended within a part, and nothing of it waits to be told from a boundary."""
        self._data, self._until = b"", 0
        self._field = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._part = Part()

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

    def add(self, chunk: bytes) -> None:
        """A whole chunk of the part that is being read."""
        self._part.add(chunk, 0, len(chunk))

    def data_until(self, chunk: bytes) -> bool:
        """Whether the last that this chunk called back is data, to its end. To be asked once a chunk: a byte
        alone is the same object whenever it comes."""
        whole = self._data is chunk and self._until == len(chunk)
        self._data = b""
        return whole

    def _part_begin(self) -> None:
        self._disposition = b""
        self._part = Part()

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
        self._part.add(data, start, end)
        self._data, self._until = data, end

    def _part_end(self) -> None:
        self._data = b""
        name = parse_options_header(self._disposition)[1].get(b"name", b"").decode("utf-8", "replace")
        if not name:
            raise RequestRefusedError("malformed_multipart", "a part has no name")
        if name in self.parts:
            raise RequestRefusedError("malformed_multipart", f"two parts are named {shortened(name)!r}")
        if len(self.parts) == MAX_PARTS:
            raise _too_many_parts()
        self.parts[name] = self._part

    def _end(self) -> None:
        self.complete = True


def _too_many_parts() -> RequestRefusedError:
    return RequestRefusedError("malformed_multipart", f"there are more than {MAX_PARTS} parts")
