"""Editors: pictures that exist, the shapes world, and diffusers pipelines by name."""

import inspect
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image, ImageChops

from edit_rrm.principles import numbered
from edit_rrm_shapes.teachers.editor import ShapesEditor
from edit_rrm_training.data.jsonl import write_rows
from edit_rrm_training.data.pictures import load_image
from edit_rrm_training.errors import EditorError, StepError
from edit_rrm_training.pipeline.candidates import candidates
from edit_rrm_training.pipeline.diffusers_editor import RECIPES, DiffusersEditor, Recipe
from edit_rrm_training.pipeline.editors import FolderEditor, open_editor
from edit_rrm_training.pipeline.journal import read_unique
from edit_rrm_training.pipeline.rows import DecomposedEdit, FailedRow, Quadruple
from tiny_pipelines import klein_folder, kontext_folder, pictures

PRINCIPLES = numbered([("follow", "Is it blue?")])


def edit(name: str, source: str = "source.png") -> DecomposedEdit:
    return DecomposedEdit(
        id=name, instruction="make it blue", source=source, principles=PRINCIPLES, endpoint="x"
    )


class FakePipeline:
    """Paints by seed, in a size of its own as FLUX does."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, **arguments: Any) -> SimpleNamespace:
        self.calls.append(arguments)
        assert arguments["num_images_per_prompt"] == len(arguments["generator"])
        shades = [one.initial_seed() % 256 for one in arguments["generator"]]
        return SimpleNamespace(images=[Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in shades])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Image.new("RGB", (12, 8), (9, 9, 9)).save(tmp_path / "source.png")
    write_rows(tmp_path / "edits.jsonl", [edit("a"), edit("b/c")])
    return tmp_path


async def test_pictures_of_a_folder_are_found_and_missing_ones_are_failures(home: Path) -> None:
    folder = home / "kontext"
    folder.mkdir()
    for name in ("a.png", "a-1.jpg"):
        Image.new("RGB", (12, 8)).save(folder / name)
    out = home / "run" / "quadruples.jsonl"
    report = await candidates([FolderEditor(folder)], 2, 0, home / "edits.jsonl", out)
    assert (report.written, report.failed) == (2, 2)
    rows = list(read_unique(out, Quadruple))
    assert [(row.id, row.editor) for row in rows] == [("a/kontext-0", "kontext"), ("a/kontext-1", "kontext")]
    for row in rows:
        assert (
            load_image(row.source, out.parent).size == load_image(row.candidate, out.parent).size == (12, 8)
        )
    assert all(
        "b/c" in row.reason for row in read_unique(home / "run" / "quadruples.failed.jsonl", FailedRow)
    )


async def test_two_editors_of_one_name_are_refused(home: Path) -> None:
    folders = [home / name / "kontext" for name in ("one", "two")]
    for folder in folders:
        folder.mkdir(parents=True)
    editors = [FolderEditor(folder) for folder in folders]
    with pytest.raises(StepError, match="several editors have one name: kontext, kontext"):
        await candidates(editors, 1, 0, home / "edits.jsonl", home / "out.jsonl")
    assert not (home / "out.jsonl").exists()


async def test_a_pipeline_is_loaded_once_and_late_and_its_pictures_are_kept_in_the_source_s_size(
    home: Path,
) -> None:
    pipeline, loads = FakePipeline(), []

    def load(recipe: Recipe, weights: str) -> FakePipeline:
        loads.append((recipe.pipeline, weights))
        return pipeline

    editor = DiffusersEditor("qwen-image-edit", "/local/weights", load)
    assert loads == []
    out = home / "quadruples.jsonl"
    await candidates([editor], 2, 7, home / "edits.jsonl", out)
    assert loads == [("QwenImageEditPipeline", "/local/weights")]
    assert {call["prompt"] for call in pipeline.calls} == {"make it blue"}
    assert all(call["true_cfg_scale"] == 4.0 and call["negative_prompt"] == " " for call in pipeline.calls)
    rows = list(read_unique(out, Quadruple))
    assert len({row.candidate for row in rows}) == 4
    assert all(load_image(row.candidate, home).size == (12, 8) for row in rows)
    seeds = [one.initial_seed() for call in pipeline.calls for one in call["generator"]]
    assert len(set(seeds)) == len(seeds) == 4
    assert (await candidates([editor], 2, 7, home / "edits.jsonl", out)).written == 0


async def test_a_batch_makes_the_same_pictures_in_fewer_calls_and_goes_on_where_it_was(home: Path) -> None:
    single, batched = FakePipeline(), FakePipeline()
    outs = []
    for pipeline, batch in ((single, 1), (batched, 2)):
        out = home / f"batch-{batch}" / "quadruples.jsonl"
        editor = DiffusersEditor("flux-kontext", "w", lambda recipe, weights, made=pipeline: made)  # type: ignore[misc]
        await candidates([editor], 5, 7, home / "edits.jsonl", out, batch=batch)
        outs.append(
            {row.id: load_image(row.candidate, out.parent).tobytes() for row in read_unique(out, Quadruple)}
        )
    assert outs[0] == outs[1]
    assert len(outs[0]) == 10
    assert [len(call["generator"]) for call in batched.calls] == [2, 2, 1, 2, 2, 1]
    out = home / "batch-2" / "quadruples.jsonl"
    kept = out.read_text().splitlines(keepends=True)
    out.write_text("".join(kept[:3]))  # as after a stop within an edit
    editor = DiffusersEditor("flux-kontext", "w", lambda recipe, weights: batched)
    await candidates([editor], 5, 7, home / "edits.jsonl", out, batch=2)
    assert sorted(out.read_text().splitlines(keepends=True)) == sorted(kept)


async def test_one_pipeline_is_gone_before_the_next_is_loaded(home: Path) -> None:
    alive: weakref.WeakSet[FakePipeline] = weakref.WeakSet()
    loaded = []

    def load(recipe: Recipe, weights: str) -> FakePipeline:
        loaded.append((weights, len(alive)))
        pipeline = FakePipeline()
        pipeline.calls.append({"itself": pipeline})  # as a real one's parts refer to one another
        alive.add(pipeline)
        return pipeline

    editors = [DiffusersEditor(name, name, load) for name in ("flux-kontext", "qwen-image-edit")]
    await candidates(editors, 2, 0, home / "edits.jsonl", home / "quadruples.jsonl")
    assert loaded == [("flux-kontext", 0), ("qwen-image-edit", 0)]
    assert len(list(read_unique(home / "quadruples.jsonl", Quadruple))) == 8
    assert len(alive) == 0


@pytest.mark.parametrize("name", list(RECIPES))
def test_the_pipelines_in_diffusers_take_the_arguments_of_their_recipes(name: str) -> None:
    diffusers = pytest.importorskip("diffusers")
    recipe = RECIPES[name]
    taken = inspect.signature(getattr(diffusers, recipe.pipeline).__call__).parameters
    assert {"image", "prompt", "generator", "num_images_per_prompt", *recipe.arguments} <= set(taken)


def test_the_shapes_editor_refers_to_the_world_and_refuses_other_pictures() -> None:
    made = ShapesEditor().edit(edit("x", "shapes:5/17/source"), 2, lambda: Image.new("RGB", (1, 1)), 0)
    assert made.picture == "shapes:5/17/2"
    assert made.editor in {"careful", "eager", "lazy", "sloppy"}
    with pytest.raises(EditorError, match="shapes:SEED/INDEX/source"):
        ShapesEditor().edit(edit("x"), 0, lambda: Image.new("RGB", (1, 1)), 0)


def test_an_unknown_editor_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(EditorError, match="flux-kontext"):
        open_editor("paint")
    with pytest.raises(EditorError, match="no folder"):
        open_editor(f"folder={tmp_path}/nowhere")
    assert open_editor("flux-kontext=/weights").name == "flux-kontext"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder", "small"),
    [
        (
            "flux-kontext",
            kontext_folder,
            {"_auto_resize": False, "height": 64, "width": 80, "max_area": 64 * 80},
        ),
        ("flux2-klein", partial(klein_folder, distilled=True), {}),
    ],
)
def test_a_pipeline_s_batch_is_its_pictures_one_by_one(
    name: str,
    folder: Callable[[Path], Path],
    small: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tiny pipelines of the very classes, in float32: at most a level of 255 apart. Qwen's make a megapixel
    of everything, which takes minutes here.
    """
    few_steps = {**RECIPES[name].arguments, **small, "num_inference_steps": 2}
    monkeypatch.setitem(RECIPES, name, replace(RECIPES[name], arguments=few_steps))
    editor = DiffusersEditor(name, str(folder(tmp_path / "pipeline")))
    (picture,) = pictures((80, 64))
    together = editor.edit_batch(edit("a"), (0, 1, 2), lambda: picture, (5, 6, 7))
    for seed, one in zip((5, 6, 7), together, strict=True):
        alone = editor.edit(edit("a"), 0, lambda: picture, seed)
        assert isinstance(one.picture, Image.Image)
        assert isinstance(alone.picture, Image.Image)
        difference = ImageChops.difference(one.picture, alone.picture)
        assert max(high for _, high in difference.getextrema()) <= 1
