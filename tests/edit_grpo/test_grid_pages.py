"""Grids as pictures and pages: what they show, that they load nothing, that texts cannot break out."""

import re

from PIL import Image

from edit_grpo.run.grid_pages import PICTURE_SIDE, GridRow, draw_grid, grid_page, index_page
from edit_rrm_client import ScoreAnswer

RED, GREY, BLUE = (Image.new("RGB", (96, 96), colour) for colour in ((200, 0, 0), (90, 90, 90), (0, 0, 200)))
ANSWER = ScoreAnswer.model_validate({
    "id": "r", "model": "m", "principles_from": "model",
    "principles": [{"id": "p1", "question": "Is <it> blue?", "category": "follow"}],
    "results": [
        {"status": "ok", "reward": 0.1, "score": 1.0, "average": 0.0,
         "verdicts": [{"principle": "p1", "met": False, "probability": 0.1, "evidence": "red'><b>"}]},
        {"status": "ok", "reward": 0.9, "score": 9.0, "average": 1.0,
         "verdicts": [{"principle": "p1", "met": True, "probability": 0.9, "evidence": "blue"}],
         "guards": [{"name": "border", "triggered": True, "value": 0.1}]},
    ],
})  # fmt: skip
SCORED = GridRow("1", "make it <script>alert(1)</script> blue", (RED,), GREY, BLUE, ANSWER)
UNSCORED = GridRow("2", "make it green", (RED,), GREY, BLUE, None)


def test_a_page_shows_verdicts_and_scores_before_and_now() -> None:
    page = grid_page("After 3 updates", [SCORED, UNSCORED])
    assert re.findall(r"<td class='(\w+)'", page) == ["missed", "met"]
    assert "<th>1.0</th><th>9.0 (guard: border)</th>" in page
    assert page.count("not scored") == 1
    assert page.count("data:image/png;base64,") == 6


def test_a_page_loads_nothing_and_texts_stay_texts() -> None:
    page = grid_page("After 3 updates", [SCORED])
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "Is &lt;it&gt; blue?" in page
    assert "<b>" not in page
    assert not re.search(r"https?://", page)


def test_a_failed_candidate_shows_its_code_and_no_number() -> None:
    failed = {"status": "error", "error": {"code": "trace_unparseable", "detail": "d"}}
    answer = ScoreAnswer.model_validate({**ANSWER.model_dump(mode="json"), "results": [failed, failed]})
    page = grid_page("x", [GridRow("1", "i", (RED,), GREY, BLUE, answer)])
    assert page.count("none (trace_unparseable)") == 2


def test_what_is_not_finite_has_no_result_and_says_so() -> None:
    second = ANSWER.model_copy(update={"results": ANSWER.results[1:]})
    page = grid_page("x", [GridRow("1", "i", (RED,), None, BLUE, second)])
    assert "<th>none (not finite)</th><th>9.0 (guard: border)</th>" in page
    assert GridRow("1", "i", (RED,), None, BLUE, second).results == (None, ANSWER.results[1])
    sheet = draw_grid([GridRow("1", "i", (RED,), None, BLUE, second)])
    assert sheet.getpixel((20 + PICTURE_SIDE + 12, 40)) == (128, 128, 128)


def test_several_sources_stand_side_by_side() -> None:
    sheet = draw_grid([GridRow("1", "i", (RED, GREY), RED, BLUE, None)])
    assert sheet.getpixel((20, 40)) == (200, 0, 0)
    assert sheet.getpixel((20 + PICTURE_SIDE // 2, 40)) == (90, 90, 90)


def test_the_picture_has_a_row_an_edit_and_keeps_pixels_sharp() -> None:
    sheet = draw_grid([SCORED, UNSCORED])
    row_height = sheet.height // 2
    assert sheet.getpixel((20, 40)) == (200, 0, 0)
    assert sheet.getpixel((20 + 2 * (PICTURE_SIDE + 12), 40)) == (0, 0, 200)
    assert sheet.getpixel((20, 40 + row_height)) == (200, 0, 0)


def test_the_index_s_slider_runs_over_all_pages() -> None:
    index = index_page(["update-0000003.html", "update-0000006.html"])
    assert "max='1' value='1'" in index
    assert index.index("update-0000003.html") < index.index("update-0000006.html")
