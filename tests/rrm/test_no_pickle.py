"""Nothing in the five packages unpickles: a pickle from outside runs whatever its author likes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "rrm/edit_rrm",
    "client/edit_rrm_client",
    "server/edit_rrm_server",
    "rrm_training/edit_rrm_training",
    "edit_training/edit_grpo",
)
PICKLES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def offences(source: str) -> Iterator[str]:
    """Imports of pickling modules, and loads that may unpickle, with their lines."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call) and may_unpickle(node):
            yield f"line {node.lineno}: {ast.unparse(node.func)}"
        yield from (f"line {node.lineno}: {name}" for name in names if name.split(".")[0] in PICKLES)


def may_unpickle(call: ast.Call) -> bool:
    """Whether it is torch.load without weights_only=True, or numpy's load with allow_pickle."""
    given = {word.arg: ast.unparse(word.value) for word in call.keywords}
    match ast.unparse(call.func):
        case "torch.load":
            return given.get("weights_only") != "True"
        case "np.load" | "numpy.load":
            return given.get("allow_pickle", "False") != "False"
        case _:
            return False


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_imports_a_pickler_or_loads_what_could_be_one(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = {str(file): list(offences(file.read_text(encoding="utf-8"))) for file in files}
    assert {file: lines for file, lines in found.items() if lines} == {}


def test_the_check_finds_what_it_looks_for() -> None:
    source = (
        "import pickle\nfrom dill import loads\nimport torch\n"
        "torch.load(f)\ntorch.load(f, weights_only=False)\ntorch.load(f, weights_only=True)\n"
        "np.load(f, allow_pickle=True)\nnp.load(f)\n"
    )
    assert list(offences(source)) == [
        "line 1: pickle",
        "line 2: dill",
        "line 4: torch.load",
        "line 5: torch.load",
        "line 7: np.load",
    ]
