"""Inputs for bulk tests: files of text in place of images, which neither client nor mock decodes."""

import json
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from edit_rrm.wire import ScoreRequest
from edit_rrm_client import MockRewardServer

Mock = TypeVar("Mock", bound=httpx.MockTransport)


def edits_file(folder: Path, edits: int, candidates: int = 1, name: str = "edits.jsonl") -> Path:
    """A JSONL input; the image of edit e3's candidate 1 holds the text "e3/1"."""
    (folder / "images").mkdir(exist_ok=True)
    lines = []
    for edit in range(edits):
        (folder / f"images/e{edit}.png").write_text(f"source of e{edit}")
        for candidate in range(candidates):
            path = f"images/e{edit}-{candidate}.png"
            (folder / path).write_text(f"e{edit}/{candidate}")
            row = {
                "id": f"e{edit}",
                "instruction": f"do {edit}",
                "source": f"images/e{edit}.png",
                "edited": path,
            }
            lines.append(json.dumps(row))
    (folder / name).write_text("".join(line + "\n" for line in lines))
    return folder / name


def jsonl(path: Path) -> list[Any]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def by_content(rewards: dict[str, float | None], otherwise: float | None = 0.5) -> MockRewardServer:
    """A mock that rewards a candidate by the text in its image."""

    def decide(request: ScoreRequest) -> list[float | None]:
        files = server.calls[-1].files
        texts = [files[candidate.part or ""].decode() for candidate in request.candidates]
        return [rewards.get(text, otherwise) for text in texts]

    server = MockRewardServer(decide)
    return server


def behind_httpx(monkeypatch: pytest.MonkeyPatch, mock: Mock) -> Mock:
    """The mock behind every asynchronous client of httpx."""
    plain = httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **options: plain(transport=mock, **options))
    return mock
