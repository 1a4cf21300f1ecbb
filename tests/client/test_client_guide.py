"""docs/client.md: every block runs, in order, and prints what the page says."""

from pathlib import Path

import pytest

from guide_blocks import blocks_of, run_blocks, serve_pictures


def test_every_block_of_the_guide_runs_and_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_pictures(tmp_path, monkeypatch)
    blocks = blocks_of("client.md")
    assert {block.language for block in blocks} == {"python", "text"}
    assert blocks[0].language == "python"
    run_blocks(blocks, {}, capsys)
