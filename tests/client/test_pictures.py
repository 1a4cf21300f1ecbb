"""The contact sheet: what is on it, and that long or foreign text does not break it."""

from typing import Any

import pytest
from PIL import Image
from scripted_service import failed, score_json, scored

from edit_rrm.wire import ScoreAnswer
from edit_rrm_client.pictures import CARD, MET, MISSED, PAPER, WIDTH, ScoredEdit, draw_contact_sheet


def edit(result: dict[str, Any], side: int = 96, instruction: str = "make the circle blue") -> ScoredEdit:
    source, edited = Image.new("RGB", (side, side), (1, 2, 3)), Image.new("RGB", (side, side), (250, 0, 250))
    return ScoredEdit("A title", instruction, source, edited, ScoreAnswer.model_validate(score_json(result)))


def colours(image: Image.Image) -> set[Any]:
    counted = image.getcolors(maxcolors=1 << 20)
    assert counted is not None
    return {colour for _, colour in counted}


def test_a_sheet_shows_both_images_unsmoothed_and_the_verdicts_marks() -> None:
    sheet = draw_contact_sheet([edit(scored(0.9))], title="t", note="n")
    assert sheet.width == WIDTH
    counts = {colour: count for count, colour in sheet.getcolors(maxcolors=1 << 20) or []}
    assert counts[(1, 2, 3)] == counts[(250, 0, 250)] == (3 * 96) ** 2
    assert {PAPER, CARD, MET, MISSED} <= colours(sheet)


def test_every_further_edit_makes_the_sheet_higher() -> None:
    one = draw_contact_sheet([edit(scored(0.9))], title="t")
    three = draw_contact_sheet([edit(scored(0.9)), edit(failed()), edit(scored(0.0, verdicts=[]))], title="t")
    assert three.height > 2 * one.height


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (7, 900), (1200, 800)])
def test_images_of_any_shape_find_their_place(size: tuple[int, int]) -> None:
    row = edit(scored(0.5))
    odd = ScoredEdit(row.title, row.instruction, Image.new("L", size), Image.new("RGBA", size), row.answer)
    assert draw_contact_sheet([odd], title="t").width == WIDTH


def test_long_words_and_foreign_letters_do_not_break_the_sheet() -> None:
    assert draw_contact_sheet([edit(scored(0.5), instruction="x" * 4000)], title="é中" * 400).width == WIDTH


def test_no_edits_make_no_sheet() -> None:
    with pytest.raises(ValueError, match="at least one edit"):
        draw_contact_sheet([], title="t")
