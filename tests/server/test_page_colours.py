"""Colours of the page: text is readable and controls are seen, in the light scheme and in the dark one."""

import re

import pytest

from edit_rrm_server.api.page_files import DIRECTORY

TEXT, CONTROL = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11
CSS = (DIRECTORY / "page.css").read_text(encoding="utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    for block in re.findall(r":root \{(.*?)\}", CSS, re.S)
)
PAIRS = [
    *(
        (ink, ground, TEXT)
        for ink in ("ink", "muted", "accent", "good", "bad")
        for ground in ("card", "paper")
    ),
    *((ink, f"{ink}-paper", TEXT) for ink in ("good", "bad", "warn")),
    ("on-accent", "accent", TEXT),
    ("ink", "warn-paper", TEXT),
    *(("edge", ground, CONTROL) for ground in ("card", "paper", "warn-paper")),
]


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """1 for equal colours, 21 for black on white."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_black_on_white_has_the_greatest_contrast_and_grey_a_known_one() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground", "least"), PAIRS)
def test_the_contrast_is_enough(scheme: dict[str, str], ink: str, ground: str, least: float) -> None:
    assert contrast(scheme[ink], scheme[ground]) >= least


def test_both_schemes_have_the_same_colours_and_rules_use_no_others() -> None:
    assert set(LIGHT) == set(DARK)
    rules = CSS[CSS.index("* { box-sizing") :]
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)", rules) == []
    assert set(re.findall(r"var\(--([\w-]+)\)", rules)) == set(LIGHT)
