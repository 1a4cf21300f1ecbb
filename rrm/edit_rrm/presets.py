"""Settings files that ship with packages, taken by name: `--config sft_7b_lora`.

A package's own lie in `configs/`, inside it where it was installed from a wheel, beside it in a checkout.
Other packages register a folder of theirs, a Path (entry point group `edit_rrm.presets`).
"""

from pathlib import Path

from edit_rrm import plugins
from edit_rrm.errors import SettingsFileError
from edit_rrm.nearest import did_you_mean

_FOLDER = "configs"
_GROUP: plugins.Group = "edit_rrm.presets"


def preset_folder(package: Path) -> Path:
    """Where the presets of the package in that folder lie."""
    inside = package / _FOLDER
    return inside if inside.is_dir() else package.parent / _FOLDER


def settings_file(named: str, package: Path) -> Path:
    """The file of that name, or the preset of the package or of another that registers some, by its name with
    or without the ending.

    A file goes before a preset. Raises SettingsFileError naming the presets there are.
    """
    file = Path(named)
    if file.is_file():
        return file
    folders: list[Path] = [
        preset_folder(package),
        *(plugins.load(_GROUP, name) for name in plugins.names(_GROUP)),
    ]
    presets = {
        preset.stem: preset for folder in reversed(folders) for preset in sorted(folder.glob("*.yaml"))
    }
    found = presets.get(named.removesuffix(".yaml"))
    if found is not None:
        return found
    raise SettingsFileError(
        f"cannot read the settings file {named}: there is no such file, and no preset of that name "
        f"(presets: {', '.join(sorted(presets)) or 'none'}){did_you_mean(file.stem, list(presets))}"
    )
