"""One checkpoint with random weights for every test of a training."""

from pathlib import Path

import pytest

from shapes_rows import save_untrained


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_untrained(tmp_path_factory.mktemp("untrained"))
