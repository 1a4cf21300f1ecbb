"""The HTTP protocol that uvicorn speaks here: what is no HTTP is answered as every other error is.

Such bytes reach no route: uvicorn's own answer would be plain text without a request id.
"""

import asyncio
import json
import logging
import uuid
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from edit_rrm_server.http.access import REQUEST_ID_HEADER, access_log
from edit_rrm_server.http.problems import problem_response


def with_typed_refusals(base: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """One of uvicorn's two protocols (httptools, h11) with an answer of ours to what it cannot read."""
    return type("HttpProtocol", (base,), {"send_400_response": _refuse})


def _refuse(self: Any, message: str) -> None:
    """Writes the answer, which is the connection's last: nobody knows where the next request would begin."""
    request_id = uuid.uuid4().hex
    answer = problem_response("malformed_http", message, request_id)
    own = [(REQUEST_ID_HEADER.encode(), request_id.encode()), (b"connection", b"close")]
    lines = b"".join(b"%s: %s\r\n" % header for header in (*answer.raw_headers, *own))
    self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + lines + b"\r\n" + bytes(answer.body))
    self.transport.close()
    line = {"event": "request", "id": request_id, "status": 400, "code": "malformed_http"}
    access_log.log(logging.INFO, json.dumps(line, separators=(",", ":")))


HttpProtocol = with_typed_refusals(AutoHTTPProtocol)
