"""Draws the demo's sample edits with the shapes world; run it to rewrite images/ and edits.json."""

import json
from dataclasses import replace
from pathlib import Path

from edit_rrm_shapes.world.render import render
from edit_rrm_shapes.world.scene import CELLS, Scene, Thing

FOLDER = Path(__file__).resolve().parent
CIRCLE = Thing("circle", "red", "solid", CELLS.index("top left"), 0, 1, 12)
SQUARE = Thing("square", "green", "solid", CELLS.index("right"), -1, 0, 11)
STAR = Thing("star", "yellow", "solid", CELLS.index("bottom left"), 1, 0, 13)
SOURCE = Scene((CIRCLE, SQUARE, STAR), "lavender")


def _with(*things: Thing, **changes: object) -> Scene:
    return replace(SOURCE, things=things, **changes)  # type: ignore[arg-type]


BLUE_CIRCLE = replace(CIRCLE, colour="blue")
# name, title, instruction, candidate, what a good verifier says
EDITS = [
    ("recolour-good", "A proper edit", "make the red circle blue",
     _with(BLUE_CIRCLE, SQUARE, STAR), "Everything is met; a score of 10."),
    ("recolour-none", "No edit at all", "make the red circle blue",
     SOURCE, "The guard no_edit decides: reward 0."),
    ("recolour-wrong", "The wrong colour", "make the red circle blue",
     _with(replace(CIRCLE, colour="purple"), SQUARE, STAR),
     "The circle is purple, not blue; the rest is kept."),
    ("remove-collateral", "Collateral damage", "remove the green square",
     _with(replace(CIRCLE, colour="orange"), STAR),
     "The square is gone, but the circle has turned orange and nobody asked for that."),
    ("background-framed", "A white frame", "make the background pink",
     _with(CIRCLE, SQUARE, STAR, background="pink", frame=6),
     "The background is pink, but a white frame has appeared; the guard border caps the reward."),
    ("move-noisy", "A noisy picture", "move the yellow star to the top right",
     _with(CIRCLE, SQUARE, replace(STAR, cell=CELLS.index("top right")), noise=30.0),
     "The star has moved; the noise costs the quality principle."),
]  # fmt: skip


def main() -> None:
    """Writes the source, the six edited images and their list."""
    images = FOLDER / "images"
    images.mkdir(exist_ok=True)
    render(SOURCE, 1).save(images / "source.png")
    rows = []
    for seed, (name, title, instruction, scene, expect) in enumerate(EDITS, start=2):
        render(scene, seed).save(images / f"{name}.png")
        rows.append({
            "name": name, "title": title, "instruction": instruction,
            "source": "images/source.png", "edited": f"images/{name}.png", "expect": expect,
        })  # fmt: skip
    (FOLDER / "edits.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
