"""Every `.md` and `.py` file that a docstring, a comment or a page cites is in the repository.

So is the section named after it, as in `docs/paper.md, Stage 2`. Not read: tests, and what tells of the past
(CHANGELOG.md, docs/results/).
"""

import ast
import importlib.util
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCE_ROOTS = [ROOT / n for n in ("rrm", "client", "server", "rrm_training", "edit_training", "shapes")]
FOLDERS = [*SOURCE_ROOTS, *(ROOT / n for n in ("benchmarks", "research", "demo", "deploy", "docs"))]
AT_THE_TOP = ("README.md", "CONTRIBUTING.md", "pyproject.toml", "Makefile", "Dockerfile")

NOT_OURS = {
    "README.md": {"evaluation.md"},  # an evaluation writes it
    "docs/rrm-data.md": {"evaluation.md"},  # the same
    "shapes/edit_rrm_shapes/reproduce_editor/reporting.py": {"table.md"},  # this module writes it
    "shapes/edit_rrm_shapes/reproduce_rrm/reporting.py": {"table.md"},  # the same
    "shapes/edit_rrm_shapes/tiny_rrm/bundle.py": {"RESULTS.md"},  # the same, beside a checkpoint
    "docs/notes/the-shapes-editor.md": {"vx.py"},  # "in commit f6e0606"
    "demo/photos/LICENCES.md": {"skimage/data/_fetchers.py"},  # of scikit-image
    "docs/trainers.md": {  # flow_grpo's, Edit-R1's, EditScore's and a file of the reader's own
        "reward_func.py",
        "scripts/train_flux_kontext.py",
        "flow_grpo/rewards.py",
        "examples/OmniGen2-RL/train.py",
    },
    "docs/benchmarks-public.md": {  # the benchmarks' own evaluation
        "evaluation.py",
        "calculate_statistics.py",
        "inference_2pair_hf.py",
        "inference_3pair_hf.py",
        "eval_bench.py",
        "eval.py",
        "inference.py",
        "test_gedit_score.py",
        "step1_get_avgscore.py",
        "step2_typescore.py",
    },
}
"""What a file may cite though the repository has none such, each with its reason."""

_PATH = re.compile(r"(?<![\w./:-])(?:[\w.-]+/)*[\w.-]*\w\.(?:md|py)\b(?![\w/])")
_SECTION = re.compile(r"\b(docs/[\w/-]+\.md), ([A-Z][^,.;:)`]*)")
_RUN = re.compile(r"\s-m (edit_[\w.]+)")
_ANOTHER_PROJECT = re.compile(r"^Verified in .*?(?=\n\s*\n|\Z)", re.M | re.S)


def files() -> list[Path]:
    """What is read."""
    kinds = (".py", ".md", ".yaml", ".yml", ".toml")
    found = (path for folder in FOLDERS for path in sorted(folder.rglob("*")) if path.suffix in kinds)
    kept = [path for path in found if DOCS / "results" not in path.parents]
    return [*(ROOT / name for name in AT_THE_TOP), *kept]


def prose(path: Path) -> Iterator[str]:
    """A page as a whole; of a module its docstrings and comments, and of its other texts what names docs/."""
    if path.suffix != ".py":
        yield path.read_text(encoding="utf-8")
        return
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in docstrings:
                yield _ANOTHER_PROJECT.sub("", node.value)
            else:
                yield from re.findall(r"\bdocs/[\w/-]+\.md(?:, [\w ]+)?", node.value)
    with path.open("rb") as file:
        yield from (t.string for t in tokenize.tokenize(file.readline) if t.type == tokenize.COMMENT)


def exists(cited: str, citing: Path) -> bool:
    """Whether a path leads somewhere: from the top, beside the file, in its package, or as it is imported.

    Pages name each other as they lie in docs/; to others `paper.md` alone is no path.
    """
    bases = [ROOT, citing.parent]
    bases += [root / citing.relative_to(root).parts[0] for root in SOURCE_ROOTS if root in citing.parents]
    if DOCS in citing.parents:
        bases.append(DOCS)
    if "/" in cited:
        bases += SOURCE_ROOTS
    return any((base / cited).is_file() for base in bases)


def missing(citing: Path) -> set[str]:
    """The files that a file cites and nobody has."""
    cited = {name for text in prose(citing) for name in _PATH.findall(text)}
    return {name for name in cited if not exists(name, citing)}


def has_section(page: Path, name: str) -> bool:
    """Whether a heading of the page begins so."""
    headings: list[str] = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return any(heading.startswith(name) for heading in headings)


def test_every_file_that_is_cited_exists() -> None:
    read = files()
    assert len(read) > 400
    found = [(str(path.relative_to(ROOT)), name) for path in read for name in sorted(missing(path))]
    assert [(path, name) for path, name in found if name not in NOT_OURS.get(path, ())] == []


def test_every_section_that_is_cited_exists() -> None:
    cited = {
        (str(path.relative_to(ROOT)), page, section.strip())
        for path in files()
        for text in prose(path)
        for page, section in _SECTION.findall(" ".join(text.split()))
    }
    assert len(cited) > 20
    assert [each for each in sorted(cited) if not has_section(ROOT / each[1], each[2])] == []


def test_every_module_that_is_run_by_name_can_be() -> None:
    named = {name.rstrip(".") for path in files() for text in prose(path) for name in _RUN.findall(text)}
    assert {"edit_rrm_training.cli", "edit_grpo.cli"} <= named
    assert [name for name in sorted(named) if importlib.util.find_spec(f"{name}.__main__") is None] == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("(docs/paper.md, Stage 2)", ["docs/paper.md"]),
        ("see `credit/win_ratio.py`, and lanes.py.", ["credit/win_ratio.py", "lanes.py"]),
        ("[notes](../rrm-data.md#evaluation)", ["../rrm-data.md"]),
        ("https://example.org/a/README.md and *.py", []),
    ],
)
def test_a_citation_is_a_path_and_no_address(text: str, names: list[str]) -> None:
    assert _PATH.findall(text) == names


def test_a_citation_of_nothing_is_noticed(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('"""As paper.md has it."""\nx = 1  # see gone.py\ny = "docs/gone.md", "written.md"\n')
    assert missing(module) == {"paper.md", "gone.py", "docs/gone.md"}
