"""A script of docs/hooks as a module: the folder is no package."""

import importlib.util
from pathlib import Path
from types import ModuleType

HOOKS = Path(__file__).parents[2] / "docs" / "hooks"


def hook_script(name: str) -> ModuleType:
    """`docs/hooks/NAME.py`, loaded anew."""
    spec = importlib.util.spec_from_file_location(name, HOOKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
