"""Fixtures of the client's tests."""

import pytest
from scripted_service import Driver


@pytest.fixture(params=["blocking", "asyncio"])
def drive(request: pytest.FixtureRequest) -> Driver:
    """The driver of each client in turn: what holds for one must hold for the other."""
    return Driver(request.param)


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDIT_RRM_API_KEY", "EDIT_RRM_URL"):
        monkeypatch.delenv(name, raising=False)
