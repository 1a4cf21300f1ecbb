"""What people see of an answer at a terminal."""

from typing import Any

from rich.console import Console
from scripted_service import MODELS_JSON, failed, score_json, scored

from edit_rrm.wire import ModelsAnswer, ScoreAnswer
from edit_rrm_client.tables import judges_panel, models_table, score_view


def printed(renderable: Any) -> str:
    console = Console(width=120, record=True, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def answer(*results: dict[str, Any]) -> ScoreAnswer:
    return ScoreAnswer.model_validate(score_json(*results))


def test_every_verdict_shows_its_category_mark_probability_and_evidence() -> None:
    lines = printed(score_view(answer(scored(0.62)), title="make the circle blue")).splitlines()
    assert "make the circle blue" in lines[0]
    met = next(line for line in lines if "Is the circle blue?" in line)
    assert [word in met for word in ("p1", "follow", "✓", "0.97", "circle: blue/blue same")] == [True] * 5
    missed = next(line for line in lines if "Is the background unchanged?" in line)
    assert [word in missed for word in ("p2", "keep", "✗", "–", "gray/pink differs")] == [True] * 5
    assert any("no_edit passed" in line for line in lines)
    assert any("score 6.2/10" in line and "reward 0.620" in line for line in lines)


def test_a_guard_that_decided_is_named() -> None:
    guard = {"name": "no_edit", "triggered": True, "value": 0.001}
    decided = scored(0.0, verdicts=[], samples=[], categories={}, average=None, guards=[guard])
    shown = printed(score_view(answer(decided)))
    assert "no_edit fired" in shown
    assert "decided by a guard; the model was not asked" in shown
    undecomposed = answer(decided).model_copy(update={"principles": []})
    assert "principle" not in printed(score_view(undecomposed, title="make the circle blue"))


def test_the_numbers_of_a_judge_without_verdicts_are_shown_and_no_guard_is_blamed() -> None:
    judged = scored(0.5, verdicts=[], categories={"follow": 0.8}, average=None, subscores={"success": 0.8})
    shown = printed(score_view(answer(judged).model_copy(update={"principles": []})))
    assert "success 0.80" in shown
    assert "decided by a guard" not in shown


def test_a_failed_candidate_shows_its_reason_and_no_number() -> None:
    shown = printed(score_view(answer(scored(0.9), failed()), 1))
    assert "not scored trace_unparseable: no score line" in shown
    assert "reward" not in shown


def test_text_of_others_is_neither_markup_nor_terminal_control() -> None:
    verdict = {"principle": "p1", "met": True, "probability": 0.5, "evidence": "[red]x[/red] \x1b[2J"}
    shown = printed(score_view(answer(scored(0.5, verdicts=[verdict])), title="[b]t[/b]\x1b]0;a\x07"))
    assert "[red]x[/red]" in shown
    assert "[b]t[/b]" in shown
    assert "\x1b" not in shown


def test_the_note_on_what_the_scores_are_good_for_is_shown_also_when_there_is_none() -> None:
    model = ModelsAnswer.model_validate(MODELS_JSON).models[0]
    assert "Judges shapes and nothing else." in printed(judges_panel(model))
    assert "does not say" in printed(judges_panel(model.model_copy(update={"judges": ""})))
    assert "tiny@0123456789ab" in printed(models_table([model]))
