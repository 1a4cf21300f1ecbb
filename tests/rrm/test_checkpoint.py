"""`rrm.json` is written and read back, and a file that does not fit is refused."""

import json
from pathlib import Path

import pytest

from edit_rrm.checkpoint import FILE_NAME, RRMCard, SamplingDefaults, read_card, write_card, zero_shot_card
from edit_rrm.errors import CheckpointError
from edit_rrm.principles import Category

CARD = RRMCard(
    name="edit-rrm-tiny",
    profile="trained",
    trace_format="1",
    sampling=SamplingDefaults(temperature=0.7, max_tokens=300),
    aggregator="soft",
    max_image_side=96,
    judges="shapes",
    training={"steps": 100, "pair_accuracy": 0.81},
)


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_card(tmp_path, CARD)
    assert read_card(tmp_path) == CARD
    assert json.loads((tmp_path / FILE_NAME).read_text(encoding="utf-8"))["categories"] == [
        "follow",
        "keep",
        "quality",
    ]


def test_a_directory_without_a_card_is_served_zero_shot(tmp_path: Path) -> None:
    model = tmp_path / "Some-VLM-7B"
    model.mkdir()
    card = read_card(model)
    assert card == zero_shot_card("Some-VLM-7B")
    assert (card.profile, card.trace_format, card.aggregator) == ("zero_shot", "json", "model_score")
    assert card.categories == tuple(Category)


@pytest.mark.parametrize(
    "change",
    [
        {"profile": "other"},
        {"trace_format": 2},
        {"name": ""},
        {"aggregator": "median"},
        {"categories": ["style"]},
        {"max_image_side": 0},
        {"sampling": {"temperature": -1}},
        {"sampling": {"beams": 4}},
        {"unknown": 1},
    ],
)
def test_a_card_that_does_not_fit_is_refused_with_its_path(tmp_path: Path, change: dict[str, object]) -> None:
    card = json.loads(CARD.model_dump_json()) | change
    (tmp_path / FILE_NAME).write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(CheckpointError, match=FILE_NAME):
        read_card(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b"\xff\xfe{}"])
def test_a_file_that_is_no_card_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(CheckpointError, match=FILE_NAME):
        read_card(tmp_path)
