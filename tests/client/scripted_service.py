"""Canned answers, a scripted service behind `httpx.MockTransport`, and one way to drive either client."""

import asyncio
import json
from email.message import Message
from email.parser import BytesParser
from typing import Any

import httpx

from edit_rrm_client import AsyncRewardClient, RewardClient

PRINCIPLES = [
    {"id": "p1", "question": "Is the circle blue?", "category": "follow", "weight": 1.0},
    {"id": "p2", "question": "Is the background unchanged?", "category": "keep", "weight": 1.0},
]


def scored(reward: float, **changes: Any) -> dict[str, Any]:
    """A candidate that was scored."""
    return {
        "status": "ok",
        "reward": reward,
        "score": reward * 10,
        "average": 0.5,
        "categories": {"follow": 1.0, "keep": 0.0},
        "verdicts": [
            {"principle": "p1", "met": True, "probability": 0.97, "evidence": "circle: blue/blue same"},
            {
                "principle": "p2",
                "met": False,
                "probability": None,
                "evidence": "gray/pink differs",
            },
        ],
        "guards": [{"name": "no_edit", "triggered": False, "value": 0.31}],
        "samples": [{"score": reward * 10, "reward": reward}],
        **changes,
    }


def failed(code: str = "trace_unparseable") -> dict[str, Any]:
    """A candidate that was not."""
    return {"status": "error", "error": {"code": code, "detail": "no score line"}, "reward": None}


def score_json(*results: dict[str, Any]) -> dict[str, Any]:
    """The body of a 200 of /v1/score."""
    return {
        "id": "r1",
        "model": "tiny@0123456789ab",
        "principles": PRINCIPLES,
        "principles_from": "model",
        "results": list(results),
    }


def ok(*results: dict[str, Any]) -> httpx.Response:
    """A 200 of /v1/score; one candidate with the reward 0.62 unless told otherwise."""
    return httpx.Response(200, json=score_json(*(results or (scored(0.62),))))


MODELS_JSON = {
    "models": [
        {
            "name": "tiny",
            "weights_digest": "0123456789ab",
            "architecture": "Qwen2_5_VLForConditionalGeneration",
            "profile": "trained",
            "trace_format": "1",
            "categories": ["follow", "keep", "quality"],
            "sampling": {"temperature": 0.0},
            "aggregator": "model_score",
            "limits": {"max_image_bytes": 20971520},
            "judges": "Judges shapes and nothing else.",
        }
    ]
}


def problem(status: int, code: str, retry_after: str | None = None) -> httpx.Response:
    """An error as the service writes it."""
    headers = {"X-Request-ID": "from-the-service", "Content-Type": "application/problem+json"}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    body = {
        "type": "about:blank",
        "title": "T",
        "status": status,
        "detail": f"because {code}",
        "instance": "i",
        "code": code,
    }
    return httpx.Response(status, json=body, headers=headers)


def read_parts(request: httpx.Request) -> dict[str, Message]:
    """The parts of a multipart request by name."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + request.content)
    parts = message.get_payload()
    assert isinstance(parts, list)
    return {str(part.get_param("name", header="content-disposition")): part for part in parts}


def sent_json(request: httpx.Request) -> dict[str, Any]:
    """The JSON of a request, multipart or not."""
    if request.headers["content-type"].startswith("multipart/"):
        body = read_parts(request)["request"].get_payload(decode=True)
        assert isinstance(body, bytes)
    else:
        body = request.content
    content: dict[str, Any] = json.loads(body)
    return content


class Script:
    """Answers requests from a list, one after another, and keeps what was asked; a fake clock beside it.

    An exception in the list is raised, a number is waited for (on the fake clock) before the next entry.
    """

    def __init__(self, *replies: httpx.Response | Exception | float) -> None:
        self.replies = list(replies)
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []
        self.now_s = 1000.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.replies.pop(0)
        while isinstance(reply, int | float):
            self.now_s += reply
            reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class Driver:
    """Calls a method of the blocking or the asyncio client and returns what it returns."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, script: Script, method: str, *args: Any, options: Any = None, **kwargs: Any) -> Any:
        shared = {
            "base_url": "http://service:8000",
            "clock": script.clock,
            "dice": lambda: 0.0,
            **(options or {}),
        }
        if self.kind == "blocking":
            http = httpx.Client(transport=httpx.MockTransport(script))
            with RewardClient(http_client=http, sleep=script.sleep, **shared) as client:
                return getattr(client, method)(*args, **kwargs)
        return asyncio.run(self._awaited(script, shared, method, args, kwargs))

    @staticmethod
    async def _awaited(script: Script, shared: Any, method: str, args: Any, kwargs: Any) -> Any:
        http = httpx.AsyncClient(transport=httpx.MockTransport(script))
        async with AsyncRewardClient(http_client=http, sleep=script.sleep_async, **shared) as client:
            return await getattr(client, method)(*args, **kwargs)
