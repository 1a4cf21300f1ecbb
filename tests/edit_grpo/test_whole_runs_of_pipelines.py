"""A whole run of each editor's pipeline, tiny and random, as `edit-grpo train` puts it together."""

import io
import json
from pathlib import Path

import pytest
from editor_families import FAMILIES, Family
from PIL import Image
from small_runs import RedService, events, log_lines, small_settings

from edit_grpo.run.training_run import Parts, run_training
from edit_rrm.wire import ScoreRequest
from tiny_pipelines import pictures

AREA = 64 * 64


def write_family_edits(folder: Path, family: Family) -> Path:
    """Two edits with as many sources as the family's sizes, each source larger than it is encoded."""
    names = [f"{number}.png" for number in range(len(family.sizes))]
    for name, picture in zip(names, pictures(*((2 * w, 2 * h) for w, h in family.sizes)), strict=True):
        picture.save(folder / name)
    rows = [{"id": str(number), "sources": names, "instruction": "make it red"} for number in range(2)]
    path = folder / "edits.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_run_trains_adapters_draws_grids_and_goes_on_where_it_was(family: Family, tmp_path: Path) -> None:
    edits = write_family_edits(tmp_path, family)
    settings = small_settings(
        tmp_path,
        policy={
            "name": str(family.save(tmp_path / "pipeline")), "lora": {"rank": 2, "alpha": 4},
            "dtype": "float32", "area_pixels": AREA,
        },
        data={"edits": [edits], "held_out": edits}, grid_every=1, grid_edits=1, updates=2, save_every=1,
        sampling={"group_size": 3, "steps": 3}, algorithm={"std_floor": 1e-9},
    )  # fmt: skip
    service = RedService()
    parts = Parts(connect=lambda settings: service.client())
    assert run_training(settings.model_copy(update={"updates": 1}), parts=parts) == "finished"
    assert run_training(settings, parts=parts) == "finished"
    assert "resumed" in events(settings)
    for line in log_lines(settings):
        assert (line["reward/failed"], line["groups/trained"]) == (0, 2)
        assert (line["update/ratio"], line["update/ratio_off"]) == (1.0, 0.0)
        assert line["update/grad_norm"] > 0.0
    for call in service.calls:
        assert isinstance(call.request, ScoreRequest)
        sizes = []
        for image in (*call.request.all_sources.values(), call.request.candidates[0]):
            with Image.open(io.BytesIO(call.files[image.part or ""])) as opened:
                sizes.append(opened.size)
        *sources, candidate = sizes
        assert len(sources) == len(family.sizes)
        assert candidate == sources[call.request.source_of_guards]
    assert (settings.out / "final" / "adapter_model.safetensors").is_file()
    assert (settings.out / "grids" / "update-0000002.html").is_file()
