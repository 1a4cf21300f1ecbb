"""The weights digest."""

import hashlib
from pathlib import Path

import pytest

from edit_rrm.errors import CheckpointError
from edit_rrm_server.engines.weights_digest import weights_digest


def test_it_is_the_sha256_over_the_files_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "model-2.safetensors").write_bytes(b"world")
    (tmp_path / "model-1.safetensors").write_bytes(b"hello ")
    (tmp_path / "config.json").write_bytes(b"{}")
    assert weights_digest(tmp_path) == hashlib.sha256(b"hello world").hexdigest()[:12]


def test_it_is_remembered_until_a_file_changes(tmp_path: Path) -> None:
    file, cache = tmp_path / "model.safetensors", tmp_path / "cache" / "digests.json"
    file.write_bytes(b"one")
    first = weights_digest(tmp_path, cache)
    cache.write_text(cache.read_text().replace(first, "remembered!!"))
    assert weights_digest(tmp_path, cache) == "remembered!!"
    file.write_bytes(b"other")
    assert weights_digest(tmp_path, cache) == hashlib.sha256(b"other").hexdigest()[:12]


def test_a_broken_cache_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"one")
    cache = tmp_path / "digests.json"
    cache.write_text("{")
    assert weights_digest(tmp_path, cache) == weights_digest(tmp_path, cache)


def test_no_weights_no_digest(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="safetensors"):
        weights_digest(tmp_path)
