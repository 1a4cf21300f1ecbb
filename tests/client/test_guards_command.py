"""`edit-rrm guards`: what the guards see of an edit, without a service."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from edit_rrm.guards import EditGuards
from edit_rrm.images import EditImage
from edit_rrm_client.cli import app
from guide_blocks import shown

BALL = (200, 120, 260, 180)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """A photograph-like source, and the same 2 px to the right with a ball on it."""
    noise = np.clip(np.random.default_rng(7).normal(128, 120, (30, 40)), 0, 255).astype(np.uint8)
    blobs = Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC).convert("RGB")
    edited = blobs.transform(blobs.size, Image.Transform.AFFINE, (1, 0, -2, 0, 1, 0))
    ImageDraw.Draw(edited).ellipse(BALL, fill=(220, 30, 30))
    blobs.save(tmp_path / "before.png")
    edited.save(tmp_path / "after.png")
    return str(tmp_path / "before.png"), str(tmp_path / "after.png")


def test_the_table_says_what_each_guard_did(pair: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, ["guards", pair[0], pair[0], "--instruction", "add a ball"])
    assert result.exit_code == 0
    assert "fired: reward 0" in result.stdout
    asked = CliRunner().invoke(app, ["guards", pair[0], pair[0], "--instruction", "keep it as it is"])
    assert "reported only" in asked.stdout


def test_the_json_has_alignment_and_share(pair: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, ["guards", *pair, "--json"])
    found = json.loads(result.stdout)
    assert found["reward_ceiling"] is None
    assert found["alignment"]["shift_x"] == pytest.approx(2 / 320, abs=1e-3)
    assert found["changed"] == pytest.approx(np.pi * 30**2 / (320 * 240), rel=0.25)
    assert [guard["name"] for guard in found["guards"]] == ["no_edit", "blank", "border", "size"]


def test_the_picture_colours_the_ball_and_nothing_else(pair: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "guards.png"
    words = ["guards", *pair, "--instruction", "add a ball", "--out", str(out)]
    assert CliRunner().invoke(app, words).exit_code == 0
    with Image.open(out) as drawn:
        assert drawn.width > 3 * 512
        assert drawn.height > 384
    images = [EditImage.from_pil(Image.open(path)) for path in pair]
    overlay = np.asarray(EditGuards(images[0]).change_map(images[1]).overlay((320, 240)))[..., 3] > 0
    assert overlay[125:175, 210:250].mean() > 0.9
    rest = overlay.copy()
    rest[112:188, 192:268] = False
    assert not rest.any()


@pytest.mark.parametrize("wrong", ["missing.png", "text.png"])
def test_a_file_that_is_no_image_is_named(pair: tuple[str, str], tmp_path: Path, wrong: str) -> None:
    (tmp_path / "text.png").write_text("no image")
    result = CliRunner().invoke(app, ["guards", pair[0], str(tmp_path / wrong)])
    assert result.exit_code == 2
    assert wrong in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("out", [".", "x.xyz", "none/x.png", "before.png", "x"])
def test_where_nothing_can_be_drawn_is_said_before_anything_is_done(
    pair: tuple[str, str], tmp_path: Path, out: str
) -> None:
    before = Path(pair[0]).read_bytes()
    result = CliRunner().invoke(app, ["guards", *pair, "--out", str(tmp_path / out)])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert Path(pair[0]).read_bytes() == before


def test_the_guide_s_command_draws_a_picture(
    pair: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ((_, *words),) = shown("guards.md", 0, {})
    assert CliRunner().invoke(app, words).exit_code == 0
    assert (tmp_path / "guards.png").is_file()
