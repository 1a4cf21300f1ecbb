"""The weights digest."""

import hashlib
from pathlib import Path

import pytest

from edit_rrm.errors import CheckpointError
from edit_rrm_server.engines.weights_digest import weights_digest


def test_it_is_the_sha256_over_names_sizes_and_contents_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "model-2.safetensors").write_bytes(b"world")
    (tmp_path / "model-1.safetensors").write_bytes(b"hello ")
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "README.md").write_bytes(b"not of the model")
    text = b"config.json\0002\0{}model-1.safetensors\0006\0hello model-2.safetensors\0005\0world"
    assert weights_digest(tmp_path) == hashlib.sha256(text).hexdigest()[:12]


@pytest.mark.parametrize(
    "name",
    [
        "chat_template.jinja", "chat_template.json", "preprocessor_config.json", "processor_config.json",
        "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
        "config.json", "generation_config.json", "adapter_config.json", "vocab.json",
        "merges.txt", "modeling_own.py",
    ],
)  # fmt: skip
def test_whatever_shapes_what_the_model_sees_or_writes_changes_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"one")
    without = weights_digest(tmp_path)
    (tmp_path / name).write_bytes(b"{}")
    with_it = weights_digest(tmp_path)
    (tmp_path / name).write_bytes(b"[]")
    assert len({without, with_it, weights_digest(tmp_path)}) == 3


@pytest.mark.parametrize(
    "name", ["rrm.json", "README.md", "trainer_state.json", "model.safetensors.index.json"]
)
def test_what_only_tells_of_the_model_does_not(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"one")
    without = weights_digest(tmp_path)
    (tmp_path / name).write_bytes(b"{}")
    assert weights_digest(tmp_path) == without


def test_it_is_remembered_until_a_file_changes(tmp_path: Path) -> None:
    file, cache = tmp_path / "model.safetensors", tmp_path / "cache" / "digests.json"
    file.write_bytes(b"one")
    first = weights_digest(tmp_path, cache)
    cache.write_text(cache.read_text().replace(first, "remembered!!"))
    assert weights_digest(tmp_path, cache) == "remembered!!"
    file.write_bytes(b"other")
    assert weights_digest(tmp_path, cache) == weights_digest(tmp_path)
    assert weights_digest(tmp_path) not in (first, "remembered!!")


def test_a_broken_cache_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"one")
    cache = tmp_path / "digests.json"
    cache.write_text("{")
    assert weights_digest(tmp_path, cache) == weights_digest(tmp_path, cache)


def test_no_weights_no_digest(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="safetensors"):
        weights_digest(tmp_path)
