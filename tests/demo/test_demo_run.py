"""The demo from its list of edits to its contact sheet, against a service that answers from a script."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from pydantic import ValidationError
from rich.console import Console

import run
from edit_rrm_client import RetryPolicy, RewardClient
from edits import load_edits

PRINCIPLES = [{"id": "p1", "question": "Is the circle blue?", "category": "follow", "weight": 1.0}]
SCORED = {
    "status": "ok",
    "reward": 0.62,
    "score": 6.2,
    "average": 1.0,
    "verdicts": [{"principle": "p1", "met": True, "probability": 0.97, "evidence": "blue/blue same"}],
}
FAILED = {"status": "error", "error": {"code": "trace_unparseable", "detail": "no score"}, "reward": None}
MODEL = {
    "name": "tiny",
    "weights_digest": "0123456789ab",
    "architecture": "A",
    "profile": "trained",
    "trace_format": "1",
    "categories": ["follow"],
    "sampling": {},
    "aggregator": "model_score",
    "limits": {},
    "judges": "Judges shapes and nothing else.",
}


class FakeService:
    """Stands in for the process."""

    url = "http://service"

    def __init__(self, log_path: Path) -> None:
        self.log_path = log_path

    def __enter__(self) -> "FakeService":
        return self

    def __exit__(self, *exc_info: object) -> None: ...

    def check(self) -> None: ...


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (96, 96)).save(tmp_path / "images" / f"{name}.png")
    edit = {"title": "A good edit", "instruction": "make the circle blue", "expect": "All met."}
    files = {"source": "images/a.png", "edited": "images/b.png"}
    path = tmp_path / "edits.json"
    path.write_text(json.dumps([{"name": "good", **edit, **files}, {"name": "again", **edit, **files}]))
    return path


def run_demo(monkeypatch: pytest.MonkeyPatch, listing: Path, result: dict[str, Any]) -> tuple[int, str]:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"models": [MODEL]})
        body = {"id": "r", "model": "tiny@0", "principles": PRINCIPLES, "principles_from": "model"}
        return httpx.Response(200, json={**body, "results": [result]})

    def client(url: str, retries: RetryPolicy) -> RewardClient:
        return RewardClient(
            url, retries=retries, http_client=httpx.Client(transport=httpx.MockTransport(answer))
        )

    monkeypatch.setattr(run, "Service", FakeService)
    monkeypatch.setattr(run, "RewardClient", client)
    monkeypatch.setattr(run, "OUTPUT", listing.parent)
    console = Console(width=120)
    with console.capture() as capture:
        code = run.run(console, load_edits(listing))
    return code, capture.get()


def test_the_demo_shows_every_edit_and_leaves_a_sheet(monkeypatch: pytest.MonkeyPatch, listing: Path) -> None:
    code, shown = run_demo(monkeypatch, listing, SCORED)
    assert code == 0
    assert shown.count("Is the circle blue?") == 2
    for words in ("2/2  A good edit", "0.97", "reward 0.620", "All met.", "Judges shapes and nothing else."):
        assert words in shown
    assert str(listing.parent / "contact_sheet.png") in shown
    with Image.open(listing.parent / "contact_sheet.png") as sheet:
        assert sheet.width > 1000


def test_an_edit_that_could_not_be_scored_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, listing: Path
) -> None:
    code, shown = run_demo(monkeypatch, listing, FAILED)
    assert code == 1
    assert "2 of 2 edits could not be scored" in shown


def test_without_its_edits_the_demo_starts_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    monkeypatch.setattr(run, "OUTPUT", tmp_path / "out")
    monkeypatch.setattr(run.signal, "signal", lambda *_: None)
    assert run.main() == 1
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_the_demo_with_130(monkeypatch: pytest.MonkeyPatch, listing: Path) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "FOLDER", listing.parent)
    monkeypatch.setattr(run, "run", interrupted)
    monkeypatch.setattr(run.signal, "signal", lambda *_: None)
    assert run.main() == 130


def test_the_demos_own_edits_are_complete() -> None:
    edits = load_edits(run.FOLDER / "edits.json")
    assert len({edit.name for edit in edits}) == len(edits) >= 5
    for edit in edits:
        assert edit.source.is_file()
        assert edit.edited.is_file()


def test_a_listing_with_an_unknown_field_is_refused(listing: Path) -> None:
    listing.write_text('[{"name": "x", "colour": "red"}]')
    with pytest.raises(ValidationError):
        load_edits(listing)
