"""The demo's edits of photographs: an instruction each, one edit that does it, and some that do not.

Every edit is an ordinary image operation; what is wrong with a bad one is said beside it.
"""

from dataclasses import dataclass
from typing import Literal

import photo_operations as do
import photo_parts as part
from photo_parts import Operation

Flaw = Literal["wrong", "half done", "collateral", "sloppy"]


@dataclass(frozen=True)
class Bad:
    """An edit that a person would reject."""

    flaw: Flaw
    seen: str
    """What a person sees wrong."""
    make: Operation


@dataclass(frozen=True)
class PhotoEdit:
    """An instruction for a photograph, the edit that follows it, and those that do not."""

    id: str
    photograph: str
    category: str
    instruction: str
    good: Operation
    bad: tuple[Bad, ...]


EDITS = (
    PhotoEdit(
        "coffee-blue", "coffee", "recolour", "make the saucer and the outside of the cup blue",
        part.in_hue(part.BLUE, part.crockery, 0.85),
        (
            Bad("wrong", "they are green", part.in_hue(part.GREEN, part.crockery, 0.85)),
            Bad("half done", "only the left half is blue",
                part.in_hue(part.BLUE, part.left_half(part.crockery), 0.85)),
            Bad("collateral", "the table and the coffee are blue, too",
                part.in_hue(part.BLUE, do.everywhere, 0.85)),
        ),
    ),
    PhotoEdit(
        "coffee-flower", "coffee", "add", "put an orange flower on the table, in the upper left corner",
        part.with_flower(part.UPPER_LEFT),
        (
            Bad("wrong", "it lies in the lower right corner", part.with_flower(part.LOWER_RIGHT)),
            Bad("sloppy", "it is pasted with a square of its own background", part.with_square_flower),
            Bad("collateral", "the saucer and the cup are purple", part.with_flower_and_purple_crockery),
        ),
    ),
    PhotoEdit(
        "chelsea-eyes", "chelsea", "recolour", "make the cat's eyes blue",
        part.in_hue(part.BLUE, part.eyes, 1.15),
        (
            Bad("half done", "only one eye is blue",
                part.in_hue(part.BLUE, part.left_half(part.eyes), 1.15)),
            Bad("collateral", "the fur is blue, too", part.in_hue(part.BLUE, part.fur, 0.8)),
            Bad("sloppy", "flat discs cover the eyes, pupils and all", part.eyes_covered),
        ),
    ),
    PhotoEdit(
        "china-sunset", "china", "background", "give it an orange sunset sky",
        part.under(part.ORANGE_SKY),
        (
            Bad("collateral", "pagoda, trees and lake have lost their colours to orange",
                part.in_tones((60, 20, 0), (255, 190, 110))),
            Bad("sloppy", "the sky ends at a line and lies over the pagoda", part.sunset_with_an_edge),
            Bad("wrong", "the sky is green", part.under(part.GREEN_SKY)),
        ),
    ),
    PhotoEdit(
        "china-grey", "china", "tone", "turn the photo into black and white",
        part.grey,
        (
            Bad("half done", "only the left half is", part.half_grey),
            Bad("wrong", "it is blue and white", part.in_tones((0, 10, 70), (190, 220, 255))),
            Bad("collateral", "it is out of focus", part.grey_out_of_focus),
        ),
    ),
    PhotoEdit(
        "rocket-moon", "rocket", "add", "add a full moon to the sky, to the upper right of the rocket",
        part.with_moon(),
        (
            Bad("wrong", "it hangs to the lower left of the rocket", part.with_moon((176, 210))),
            Bad("sloppy", "it is pasted with a square around it", part.with_square_moon),
            Bad("collateral", "the rocket has gone", part.with_moon_for_rocket),
        ),
    ),
    PhotoEdit(
        "rocket-gone", "rocket", "remove", "remove the rocket",
        part.without_rocket,
        (
            Bad("wrong", "the tower to the left of it has gone instead", part.without_tower),
            Bad("sloppy", "a plain box stands in its place", part.rocket_boxed),
            Bad("half done", "it is only blurred", part.rocket_blurred),
        ),
    ),
    PhotoEdit(
        "flower-purple", "flower", "recolour", "make the large flower purple",
        part.in_hue(part.PURPLE, part.large_flower),
        (
            Bad("wrong", "it is green", part.in_hue(part.GREEN, part.large_flower)),
            Bad("half done", "only its left half is purple",
                part.in_hue(part.PURPLE, part.left_half(part.large_flower))),
            Bad("collateral", "leaves and the other flower are purple, too",
                part.in_hue(part.PURPLE, do.everywhere)),
        ),
    ),
    PhotoEdit(
        "coins-one-less", "coins", "remove", "remove the large coin in the top right corner",
        part.without_coin(part.LARGE_COIN),
        (
            Bad("wrong", "the coin at the bottom left has gone instead", part.without_coin(part.OTHER_COIN)),
            Bad("sloppy", "a white disc lies on it", part.coin_under_a_disc),
        ),
    ),
    PhotoEdit(
        "camera-sepia", "camera", "tone", "give the photo a warm sepia tone",
        part.sepia,
        (
            Bad("wrong", "the tone is a cold blue", part.in_tones((4, 10, 30), (200, 224, 255))),
            Bad("collateral", "it is made of coarse squares", part.coarse_sepia),
        ),
    ),
    PhotoEdit(
        "hubble-words", "hubble", "text", "write DEEP FIELD in white letters at the bottom",
        part.words("DEEP FIELD"),
        (
            Bad("wrong", "it says DEEP FEILD", part.words("DEEP FEILD")),
            Bad("sloppy", "it runs over the edge", part.words("DEEP FIELD", height=120)),
            Bad("wrong", "it stands at the top", part.words("DEEP FIELD", at=(256, 40))),
        ),
    ),
    PhotoEdit(
        "brick-red", "brick", "recolour", "make the bricks red and leave the mortar grey",
        part.in_tones((40, 8, 4), (255, 128, 100), part.brick_faces),
        (
            Bad("wrong", "they are blue", part.in_tones((6, 10, 40), (120, 150, 255), part.brick_faces)),
            Bad("collateral", "the mortar is red, too", part.in_tones((40, 8, 4), (255, 128, 100))),
        ),
    ),
)  # fmt: skip
