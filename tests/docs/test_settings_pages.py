"""docs/reference/: every setting as the code has it; the guides name none that is gone."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hook_script import HOOKS, hook_script
from pydantic import BaseModel

from edit_grpo.run.settings import TrainSettings
from edit_rrm.settings_files import settings_rows
from edit_rrm_server.settings.server import ServerSettings
from edit_rrm_training.runs.settings import GcpoConfig, SftConfig

DOCS = Path(__file__).parents[2] / "docs"
SCRIPT = HOOKS / "settings_pages.py"
MODELS = {
    "reference/edit-grpo-settings.md": [TrainSettings],
    "reference/edit-rrm-train-settings.md": [SftConfig, GcpoConfig],
    "reference/server-settings.md": [ServerSettings],
}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return hook_script("settings_pages")


def test_the_pages_are_what_the_code_says(script: ModuleType) -> None:
    written = {path: (DOCS / path).read_text(encoding="utf-8") for path in MODELS}
    assert written == script.pages(), "run: .venv/bin/python docs/hooks/settings_pages.py"


@pytest.mark.parametrize(
    ("page", "kind"), [(page, kind) for page, kinds in MODELS.items() for kind in kinds], ids=str
)
def test_a_page_says_of_every_setting_what_it_is(page: str, kind: type[BaseModel]) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    rows = list(settings_rows(kind))
    assert len(rows) > 30
    for name, _, _ in rows:
        assert re.search(rf"^- `{re.escape(name)}`( \(.+\))?: \S", text, re.M), name


def test_models_that_a_section_chooses_from_stand_apart() -> None:
    text = (DOCS / "reference/edit-grpo-settings.md").read_text(encoding="utf-8")
    grpo, nft = text.split("### algorithm: ")[1:]
    assert grpo.startswith("grpo\n")
    assert nft.startswith("diffusion_nft\n")
    assert "`algorithm.eta`" in grpo
    assert "`algorithm.eta`" not in nft
    assert all("`algorithm.std_floor`" in part for part in (grpo, nft))


def test_no_torch_is_needed_to_read_the_settings() -> None:
    program = (
        f"import runpy, sys; runpy.run_path({str(SCRIPT)!r}, run_name='hook'); "
        "print(sorted({'torch', 'transformers', 'diffusers', 'trl', 'vllm'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("guide", "page"),
    [
        ("train-an-editor.md", "reference/edit-grpo-settings.md"),
        ("train-the-rrm.md", "reference/edit-rrm-train-settings.md"),
    ],
)
def test_the_settings_that_a_guide_names_exist(guide: str, page: str) -> None:
    known = {name for kind in MODELS[page] for name, _, _ in settings_rows(kind)}
    text = (DOCS / guide).read_text(encoding="utf-8").partition("## Settings\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", text, re.M)
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert len(named) >= 12
    assert named <= known
    assert f"({page})" in text
