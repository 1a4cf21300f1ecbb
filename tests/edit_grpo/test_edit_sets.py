"""Edit sets: rows, sources, whose turn it is."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edit_grpo.data.edits import EditOrder, groups_of_process, read_edits
from edit_grpo.errors import EditRowError

PRINCIPLE = {"id": "p1", "question": "Is it red?", "category": "follow"}


def write(folder: Path, *rows: dict[str, Any] | str) -> Path:
    Image.new("RGBA", (10, 6), (255, 0, 0, 255)).save(folder / "s.png")
    path = folder / "edits.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": str(number), "source": "s.png", "instruction": "make it red", **changes}


def test_the_shapes_world_s_rows_are_read_as_they_are(tmp_path: Path) -> None:
    shapes = row(1, category="tone transformation", principles=[PRINCIPLE], candidates=[{"image": "c.png"}])
    (edit,) = read_edits([write(tmp_path, shapes)])
    assert (edit.id, edit.category) == ("1", "tone transformation")
    assert edit.principles is not None
    assert edit.principles[0].question == "Is it red?"
    (picture,) = edit.pictures()
    assert (picture.mode, picture.size) == ("RGB", (10, 6))


def test_numbers_a_mark_and_odd_characters_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, {**row(1), "id": 1}, {**row(2), "id": 2.0})
    odd = json.dumps(row(3, instruction="first\u2028second"), ensure_ascii=False)
    path.write_text("\ufeff" + path.read_text() + "\r\n" + odd, encoding="utf-8")
    assert [(edit.id, edit.instruction) for edit in read_edits([path])] == [
        ("1", "make it red"),
        ("2", "make it red"),
        ("3", "first\u2028second"),
    ]


def test_a_source_stands_as_the_service_sees_it(tmp_path: Path) -> None:
    (edit,) = read_edits([write(tmp_path, row(1))])
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (10, 6)).save(edit.sources[0], "PNG", exif=turned)
    assert edit.pictures()[0].size == (6, 10)
    Image.new("RGBA", (10, 6), (0, 0, 0, 0)).save(edit.sources[0])
    assert edit.pictures()[0].getpixel((0, 0)) == (255, 255, 255)


def test_several_sources_keep_their_order(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (0, 0, 255)).save(tmp_path / "blue.png")
    (edit,) = read_edits([write(tmp_path, row(1, source=None, sources=["blue.png", "s.png"]))])
    assert [source.name for source in edit.sources] == ["blue.png", "s.png"]
    assert [picture.getpixel((0, 0)) for picture in edit.pictures()] == [(0, 0, 255), (255, 0, 0)]


def test_category_and_principles_may_be_absent(tmp_path: Path) -> None:
    (edit,) = read_edits([write(tmp_path, row(1), "")])
    assert (edit.category, edit.principles) == ("all", None)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ((row(1), "{"), "row 2: Invalid JSON"),
        ((row(1), row(2, instruction=" ")), "row 2: field 'instruction'"),
        (({"id": "1", "source": "s.png"},), "row 1: field 'instruction': Field required"),
        (({"id": "1", "instruction": "x"},), "row 1: .*exactly one of 'source' and 'sources'"),
        ((row(1, sources=["s.png"]),), "row 1: .*exactly one of 'source' and 'sources'"),
        ((row(1, source=None, sources=[]),), "row 1: field 'sources': .*at least 1"),
        ((row(1, source=None, sources=["s.png"] * 5),), "row 1: field 'sources': .*at most 4"),
        ((row(1, source=None, sources=["s.png", ""]),), "row 1: field 'sources.1'"),
        ((row(1, source=None, sources=["s.png", "t.png"]),), "row 1: its source .*t.png is not a file"),
        ((row(1), row(2, source="t.png")), "row 2: its source .*t.png is not a file"),
        ((row(1), row(1)), "row 2: the id '1' stands in an earlier row"),
        (("",), "holds no edit"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, rows: tuple[dict[str, Any] | str, ...], words: str) -> None:
    with pytest.raises(EditRowError, match=words):
        read_edits([write(tmp_path, *rows)])


def test_a_missing_file_and_a_source_that_is_no_picture_are_named(tmp_path: Path) -> None:
    with pytest.raises(EditRowError, match=r"missing.jsonl: cannot be read"):
        read_edits([tmp_path / "missing.jsonl"])
    path = write(tmp_path, row(1))
    (tmp_path / "s.png").write_text("no picture")
    with pytest.raises(EditRowError, match="the source of edit 1 cannot be read"):
        read_edits([path])[0].pictures()


def test_a_source_too_large_to_decode_is_a_wrong_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own error for it is no OSError, and ended the run."""
    path = write(tmp_path, row(1))
    Image.new("RGB", (64, 64)).save(tmp_path / "s.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(EditRowError, match="the source of edit 1 cannot be read"):
        read_edits([path])[0].pictures()


def test_each_epoch_asks_for_every_edit_once_in_a_new_order(tmp_path: Path) -> None:
    edits = read_edits([write(tmp_path, *(row(number) for number in range(6)))])
    order = EditOrder(edits, groups=4, seed=0)
    asked = [order(update, group).id for update in range(6) for group in range(4)]  # 24 = 4 epochs of 6
    epochs = [tuple(asked[start : start + 6]) for start in range(0, 24, 6)]
    assert all(Counter(epoch) == Counter("012345") for epoch in epochs)
    assert len(set(epochs)) == 4


def test_the_order_needs_no_state_to_resume(tmp_path: Path) -> None:
    edits = read_edits([write(tmp_path, *(row(number) for number in range(5)))])
    straight = EditOrder(edits, groups=2, seed=7)
    before = [straight(update, group).id for update in range(9) for group in range(2)]
    resumed = EditOrder(edits, groups=2, seed=7)
    assert [resumed(update, group).id for update in range(6, 9) for group in range(2)] == before[12:]


def test_processes_share_the_groups_of_an_update() -> None:
    shares = [list(groups_of_process(6, process, 2)) for process in range(2)]
    assert shares == [[0, 2, 4], [1, 3, 5]]
