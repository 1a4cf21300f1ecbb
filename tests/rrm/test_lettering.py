"""Text for pictures."""

from edit_rrm.lettering import font, spellable, wrap


def test_foreign_letters_are_spelled_or_marked() -> None:
    assert spellable("ça – va → 中\n“ok”…") == "ca - va > ? “ok”…"


def test_wrapped_lines_fit_and_an_ellipsis_says_that_words_are_missing() -> None:
    lines = wrap("one two three four five six seven eight nine ten", 20, 100, max_lines=2)
    assert len(lines) == 2
    assert lines[-1].endswith("…")
    assert all(font(20).getlength(line) <= 100 for line in lines)
    assert wrap("short", 20, 100, max_lines=2) == ["short"]
    assert wrap("", 20, 100, max_lines=2) == []
