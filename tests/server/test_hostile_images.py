"""Hostile files through the three doors of the API: one and the same word of the image door, or a score.

benchmarks/hostile_images.py sends thousands to the real engine and watches memory and probes.
"""

import sys
from collections import defaultdict
from pathlib import Path

import pytest
from running_service import Running

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FILES = 150


async def test_a_hostile_file_is_told_the_same_at_every_door(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    from rig.hostile_calls import REFUSALS, told_at_each_door
    from rig.hostile_files import hostile_files

    told: dict[str, list[str]] = defaultdict(list)
    for file in hostile_files(FILES, 11):
        words = await told_at_each_door(running.http, file.content)
        assert len(set(words)) == 1, (file.kind, words)
        told[file.kind].append(words[0])
    seen = {word for words in told.values() for word in words}
    assert seen <= REFUSALS | {"reward 0.6000"}
    assert {"broken_image", "unsupported_image", "too_many_pixels", "image_shape", "reward 0.6000"} <= seen
    for kind in ("cut", "noise", "signature and noise", "another format", "animated"):
        assert "reward 0.6000" not in told[kind], kind
    running.assert_idle()
