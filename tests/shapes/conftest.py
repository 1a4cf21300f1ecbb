"""What every test of a training shares: a checkpoint with random weights, a small vocabulary."""

from functools import partial
from pathlib import Path

import pytest

from edit_rrm_shapes.tiny_rrm import recipe
from edit_rrm_shapes.tiny_rrm.tokenizer import build_tokenizer
from shapes_rows import save_untrained


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_untrained(tmp_path_factory.mktemp("untrained"))


@pytest.fixture(autouse=True)
def small_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the recipe's tokenizer: the whole corpus takes a quarter of a minute."""
    monkeypatch.setattr(recipe, "build_tokenizer", partial(build_tokenizer, corpus_size=600))
