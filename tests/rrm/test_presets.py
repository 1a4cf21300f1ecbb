"""Presets by name: a package's own beside it or inside it, and those that another registers."""

from pathlib import Path

import pytest

from edit_rrm import plugins
from edit_rrm.errors import SettingsFileError
from edit_rrm.presets import preset_folder, settings_file


def preset(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text("steps: 1\n")
    return folder / f"{name}.yaml"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package as it lies in a checkout, and one that registers a folder of presets."""
    (tmp_path / "product" / "package").mkdir(parents=True)
    preset(tmp_path / "product" / "configs", "sft_big")
    return tmp_path / "product" / "package"


@pytest.fixture(autouse=True)
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "theirs"
    preset(folder, "sft_tiny")
    monkeypatch.setattr(plugins, "names", lambda group: ("theirs",))
    monkeypatch.setattr(
        plugins, "load", lambda group, name: {("edit_rrm.presets", "theirs"): folder}[group, name]
    )
    return folder


def test_presets_lie_beside_a_package_in_a_checkout_and_inside_one_from_a_wheel(package: Path) -> None:
    assert preset_folder(package) == package.parent / "configs"
    preset(package / "configs", "sft_big")
    assert preset_folder(package) == package / "configs"


def test_a_preset_is_taken_by_its_name_with_or_without_the_ending(package: Path, registered: Path) -> None:
    assert settings_file("sft_big", package) == package.parent / "configs" / "sft_big.yaml"
    assert settings_file("sft_big.yaml", package) == package.parent / "configs" / "sft_big.yaml"
    assert settings_file("sft_tiny", package) == registered / "sft_tiny.yaml"


def test_a_file_goes_before_a_preset(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mine = preset(tmp_path, "sft_big")
    assert settings_file("sft_big.yaml", package).resolve() == mine


def test_a_name_that_is_none_is_told_all_there_are_and_the_nearest(package: Path) -> None:
    with pytest.raises(SettingsFileError) as raised:
        settings_file("sft_tny.yaml", package)
    assert str(raised.value) == (
        "cannot read the settings file sft_tny.yaml: there is no such file, and no preset of that name "
        "(presets: sft_big, sft_tiny); did you mean sft_tiny?"
    )
