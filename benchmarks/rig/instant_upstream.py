"""A server of the OpenAI API that answers at once, as a process: what the service itself costs in fleet mode.

python benchmarks/rig/instant_upstream.py PORT TOKENS
"""

import asyncio
import json
import re
import sys

from rig.instant_service import trace_text

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_READ_BYTES = 2**20


def answer(tokens: int) -> bytes:
    """A chat completion with a trace of as many places, each with four other tokens."""
    text = trace_text("It is there, red and square, as was asked " * max(1, tokens // 40))
    pieces = re.findall(r"\s?\S+|\s", text)
    others = [{"token": str(n), "logprob": -3.0, "bytes": list(str(n).encode())} for n in range(4)]
    places = [
        {"token": piece, "logprob": -0.1, "bytes": list(piece.encode()), "top_logprobs": others}
        for piece in pieces
    ]
    choice = {"message": {"content": text}, "finish_reason": "stop", "logprobs": {"content": places}}
    usage = {"prompt_tokens": 1000, "completion_tokens": len(pieces)}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


async def serve(port: int, tokens: int) -> None:
    """Until it is killed."""
    completion = answer(tokens)
    models = json.dumps({"data": [{"id": "judge"}]}).encode()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            left = int(found.group(1)) if (found := _LENGTH.search(head)) else 0
            while left:
                left -= len(await reader.read(min(left, _READ_BYTES)))
            body = completion if head.startswith(b"POST") else models
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
                + body
            )
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port, limit=2 * _READ_BYTES)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
