"""The two distributions: what is in them; the product is small and needs nothing of the miniature."""

import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from installs import ROOT, build_wheel

pytestmark = pytest.mark.slow

PRODUCT_LIMIT_BYTES = 12 * 10**6
PRODUCT = {"edit_rrm", "edit_rrm_client", "edit_rrm_server", "edit_rrm_training", "edit_grpo"}


def names(wheel: Path) -> list[PurePosixPath]:
    with zipfile.ZipFile(wheel) as archive:
        return [PurePosixPath(name) for name in archive.namelist()]


def weights(found: list[PurePosixPath]) -> set[str]:
    """The folders under models/ that have weights."""
    return {path.parts[2] for path in found if path.suffix == ".safetensors"}


def presets(found: list[PurePosixPath], package: str) -> set[str]:
    return {path.name for path in found if path.match(f"{package}/configs/*.yaml")}


def packages(found: list[PurePosixPath]) -> set[str]:
    return {path.parts[0] for path in found if not path.parts[0].endswith(".dist-info")}


def test_the_products_wheel_is_small_and_has_the_default_model_alone(tmp_path: Path) -> None:
    wheel = build_wheel(ROOT, tmp_path)
    found = names(wheel)
    assert wheel.stat().st_size <= PRODUCT_LIMIT_BYTES
    assert packages(found) == PRODUCT
    assert weights(found) == {"edit-rrm-tiny"}
    assert {f"{package}/py.typed" for package in PRODUCT} <= {str(path) for path in found}
    for package, folder in (("edit_rrm_training", "rrm_training"), ("edit_grpo", "edit_training")):
        assert presets(found, package) == {file.name for file in (ROOT / folder / "configs").glob("*.yaml")}


def test_the_miniatures_wheel_has_the_other_checkpoints_and_its_settings(tmp_path: Path) -> None:
    found = names(build_wheel(ROOT / "shapes", tmp_path))
    assert packages(found) == {"edit_rrm_shapes"}
    shipped = {"edit-rrm-tiny-sft", "edit-rrm-tiny-gcpo", "edit-rrm-tiny-base-m", "edit-rrm-tiny-base-s"}
    assert weights(found) == shipped | {"shapes-editor"}
    assert presets(found, "edit_rrm_shapes") == {"sft_tiny.yaml", "gcpo_tiny.yaml", "tiny_editor.yaml"}


def test_the_products_commands_work_without_the_miniature() -> None:
    """That no module of theirs imports it, lint-imports says."""
    script = """
import sys
from importlib.metadata import entry_points

class NoMiniature:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "edit_rrm_shapes":
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, NoMiniature())
for name in ("edit-rrm", "edit-rrm-server", "edit-rrm-train", "edit-grpo"):
    (script,) = entry_points(group="console_scripts", name=name)
    sys.argv = [name, "--help"]
    try:
        script.load()()
    except SystemExit as ended:
        assert ended.code == 0, name
    else:
        raise AssertionError(name)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
