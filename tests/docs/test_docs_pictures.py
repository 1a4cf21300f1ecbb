"""Pictures of the docs that show scores are of the weights that ship: each says in itself who judged.

They are drawn anew by `demo/photograph.py`.
"""

from pathlib import Path

import pytest
from PIL import Image

from edit_rrm.checkpoint import read_card
from edit_rrm_server.engines.weights_digest import weights_digest
from edit_rrm_server.settings.server import BUNDLED_MODEL

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SHOW_NO_SCORE = {"frame.png", "guards.png", "prometheus.png", "shapes.png"}
SHOW_SCORES = sorted({picture.name for picture in IMAGES.glob("*.png")} - SHOW_NO_SCORE)
MOST_BYTES = 250_000


def test_there_are_pictures_with_scores() -> None:
    assert SHOW_SCORES == ["contact_sheet.png", "page-phone.png", "page.png", "report.png"]


@pytest.mark.parametrize("name", SHOW_SCORES)
def test_a_picture_with_scores_is_of_the_weights_that_ship(name: str) -> None:
    with Image.open(IMAGES / name) as picture:
        judge = picture.info.get("judged by")
    ships = f"{read_card(BUNDLED_MODEL).name}@{weights_digest(BUNDLED_MODEL)}"
    assert judge == ships, f"draw {name} anew: demo/photograph.py"
    assert (IMAGES / name).stat().st_size < MOST_BYTES
