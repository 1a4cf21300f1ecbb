"""Folders as `edit-rrm-shapes generate` writes them, by hand: a blue square that turns red or not."""

import json
from pathlib import Path

from PIL import Image, ImageDraw

GRAY, BLUE, RED = (150, 150, 150), (36, 76, 224), (222, 36, 36)


def square(colour: tuple[int, int, int], left: int = 32) -> Image.Image:
    """A 96×96 picture."""
    picture = Image.new("RGB", (96, 96), GRAY)
    ImageDraw.Draw(picture).rectangle((left, 32, left + 31, 63), fill=colour)
    return picture


def shapes_folder(directory: Path, count: int = 4) -> Path:
    """`count` edits with a perfect candidate (score 10) and one that changed nothing (score 0)."""
    (directory / "images").mkdir(parents=True)
    rows = []
    for number in range(count):
        left = 16 * (number % 4)
        pictures = {"source": square(BLUE, left), "0": square(RED, left), "1": square(BLUE, left)}
        names = {part: f"images/{number}-{part}.png" for part in pictures}
        for part, picture in pictures.items():
            picture.save(directory / names[part])
        rows.append({
            "id": f"5-{number}", "category": "colour alteration", "instruction": "make the blue square red",
            "source": names["source"], "principles": [],
            "candidates": [{"image": names["0"], "score": 10.0}, {"image": names["1"], "score": 0.0}],
        })  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (directory / "edits.jsonl").write_text(text, encoding="utf-8")
    return directory
