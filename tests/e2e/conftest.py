"""One server process for the whole session: the bundled model on the real vLLM. Edits of the shapes world."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_process import ServiceProcess, served

from edit_rrm_server.settings.server import BUNDLED_MODEL
from edit_rrm_shapes.world.dataset import EditRecord, make_edit


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is end to end."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """The bundled model, ready. Afterwards: SIGTERM gives exit status 0 and no process is left."""
    with served(tmp_path_factory.mktemp("server"), "--set", "max_body_bytes=2000000") as process:
        yield process
    log = process.log.read_text()
    assert not any(word in log for word in ("Traceback", "ERROR", "Exception")), log[-3000:]


@pytest.fixture(scope="session")
def trained(server: ServiceProcess) -> ServiceProcess:
    """The session's server, for tests that need traces that parse."""
    if json.loads((BUNDLED_MODEL / "rrm.json").read_text())["training"].get("stage") == "untrained":
        pytest.skip("the bundled checkpoint is not trained yet")
    return server


@pytest.fixture(scope="session")
def edit() -> EditRecord:
    """An edit of the shapes world with eight candidates."""
    return make_edit(seed=2026, index=1, candidate_count=8)
