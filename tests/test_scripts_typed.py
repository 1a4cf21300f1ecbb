"""benchmarks/ and research/ are typed with the packages: a setting renamed there is an error here."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_mypy_sees_every_folder_of_the_repository_that_holds_programs() -> None:
    held = {script.parent for folder in ROOT.iterdir() if folder.is_dir() for script in folder.glob("*.py")}
    programs = {folder.name for folder in held} - {"tests"}
    assert {"benchmarks", "demo", "research"} <= programs
    assert programs <= set(SETTINGS["tool"]["mypy"]["files"])
