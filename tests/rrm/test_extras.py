"""A command without its extra: one line that names it, and no traceback."""

import sys
from types import SimpleNamespace

import pytest

from edit_rrm.extras import EXIT_NOT_INSTALLED, run_command


def ends_by(monkeypatch: pytest.MonkeyPatch, missing: str | None) -> None:
    """Makes a module `product` whose `app` misses a module, or nothing."""

    def app(prog_name: str) -> None:
        if missing is not None:
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setitem(sys.modules, "product", SimpleNamespace(app=app))  # type: ignore[arg-type]


def test_a_library_that_is_missing_is_one_line_with_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ends_by(monkeypatch, "torch.nn")
    with pytest.raises(SystemExit) as ended:
        run_command("edit-x", "product", "training", " (or so)")
    assert ended.value.code == EXIT_NOT_INSTALLED
    line = "edit-x: torch is not installed; this command needs: pip install 'edit-rrm[training]' (or so)\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("ours", ["product.gone", "edit_rrm.gone"])
def test_a_module_of_ours_that_is_missing_is_a_fault(monkeypatch: pytest.MonkeyPatch, ours: str) -> None:
    ends_by(monkeypatch, ours)
    with pytest.raises(ModuleNotFoundError, match="gone"):
        run_command("edit-x", "product", "training")


def test_with_everything_there_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    ends_by(monkeypatch, None)
    run_command("edit-x", "product", "training")
