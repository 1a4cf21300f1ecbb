"""docs/client.md: every block runs, in order, and prints what the page says."""

import functools
import re
from pathlib import Path

import httpx
import pytest
from PIL import Image

from edit_rrm.wire import ScoreRequest
from edit_rrm_client import MockRewardServer

GUIDE = Path(__file__).parents[2] / "docs" / "client.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REWARDS = {"first.png": 0.9, "second.png": 0.2, "broken.png": None}


def test_every_block_of_the_guide_runs_and_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    by_file: dict[bytes, float | None] = {}
    for shade, name in enumerate(["source.png", *REWARDS]):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(name)
        by_file[Path(name).read_bytes()] = REWARDS.get(name)

    def rewards(request: ScoreRequest) -> list[float | None]:
        files = server.calls[-1].files
        return [by_file[files[candidate.part or ""]] for candidate in request.candidates]

    server = MockRewardServer(rewards)
    for name in ("Client", "AsyncClient"):
        monkeypatch.setattr(httpx, name, functools.partial(getattr(httpx, name), transport=server))

    blocks = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    assert {language for language, _ in blocks} == {"python", "text"}
    assert blocks[0][0] == "python"
    page: dict[str, object] = {}
    following = [*blocks[1:], ("python", "")]
    for (language, code), (next_language, expected) in zip(blocks, following, strict=True):
        if language == "python":
            exec(compile(code, str(GUIDE), "exec"), page)
            assert capsys.readouterr().out == (expected if next_language == "text" else ""), code
