"""The photographs that ship: what the script beside them draws, small, licensed, and no guard's prey."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

import photo_operations as do
from edit_rrm.guards import EditGuards, reward_ceiling
from edit_rrm.images import decode_image
from make_photo_edits import LICENCES, QUALITY, drawn, licences, sources
from photo_edits import EDITS, PhotoEdit
from photo_listing import BAD, FOLDER, GOOD, LISTING, listed
from photo_originals import ORIGINALS

MOST_BYTES = 1_500_000
OPEN_LICENCES = ("CC0", "CC BY 2.0", "public domain", "no known copyright restrictions")
RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (128, 128, 128)


def as_stored(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return Image.open(file)


def difference(stored: str, image: Image.Image) -> float:
    """Of a file and what is drawn today, the mean over pixels and channels in grey levels."""
    with Image.open(FOLDER / stored) as file:
        assert file.size == image.size
        return float(np.abs(do.pixels(file.convert("RGB")) - do.pixels(as_stored(image))).mean())


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.id)
def test_what_ships_is_what_the_script_draws(edit: PhotoEdit) -> None:
    pictures = list(drawn(edit))
    assert [each.row for each in pictures] == [row for row in listed() if row.id == edit.id]
    assert {each.row.edited: difference(each.row.edited, each.image) < 1.0 for each in pictures} == {
        each.row.edited: True for each in pictures
    }


def test_the_sources_are_the_packages_photographs() -> None:
    assert [name for name, image in sources().items() if difference(name, image) >= 1.0] == []


def test_every_instruction_has_one_good_edit_and_two_or_three_bad_ones_that_say_why() -> None:
    assert 8 <= len({row.source for row in listed()}) <= 12
    for edit in EDITS:
        rows = [row for row in listed() if row.id == edit.id]
        counts = Counter(row.model for row in rows)
        assert counts[GOOD] == 1
        assert counts[BAD] in (2, 3)
        assert all(bool(row.flaw) == (row.model == BAD) for row in rows)


def test_the_folder_is_small_and_holds_nothing_else() -> None:
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    named = {name for row in listed() for name in (row.source, row.edited)}
    assert files == named | {LISTING.name, LICENCES.name}
    assert sum((FOLDER / name).stat().st_size for name in files) < MOST_BYTES


def test_every_photograph_has_an_open_licence_that_is_stated_beside_it() -> None:
    text = LICENCES.read_text(encoding="utf-8")
    assert text == licences()
    for name in {edit.photograph for edit in EDITS}:
        assert f"`sources/{name}.jpg` | {ORIGINALS[name].by} | {ORIGINALS[name].licence}" in text
        assert ORIGINALS[name].licence.startswith(OPEN_LICENCES)


def test_no_guard_takes_a_good_edit_for_a_cheat() -> None:
    for row in (row for row in listed() if row.model == GOOD):
        source, edited = (decode_image((FOLDER / file).read_bytes()) for file in (row.source, row.edited))
        found = EditGuards(source, instruction=row.instruction).check(edited)
        assert reward_ceiling(found) is None, f"{row.id}: {found}"


class TestOperations:
    def test_a_mask_says_where(self) -> None:
        image = Image.new("RGB", (4, 2), RED)
        edited = do.recoloured(image, do.rectangle(image, (0, 0, 1, 1)), hue=240)
        assert [edited.getpixel((x, 0)) for x in range(4)] == [BLUE, BLUE, RED, RED]

    def test_half_a_mask_is_half_a_change(self) -> None:
        image, other = Image.new("RGB", (1, 1), (0, 100, 200)), Image.new("RGB", (1, 1), (100, 100, 100))
        assert do.blend(image, other, np.full((1, 1), 0.5)).getpixel((0, 0)) == (50, 100, 150)

    def test_a_hue_may_pass_through_zero_and_grey_has_too_little_of_it(self) -> None:
        image = Image.new("RGB", (3, 1))
        image.putdata([RED, BLUE, GREY])
        assert do.of_hue(image, (345, 20), saturation=0.5).tolist() == [[1, 0, 0]]
        assert do.of_hue(image, (200, 260), saturation=0.5).tolist() == [[0, 1, 0]]

    def test_tones_go_from_dark_to_light(self) -> None:
        image = Image.new("RGB", (3, 1))
        image.putdata([(0, 0, 0), (51, 51, 51), (255, 255, 255)])
        edited = do.tinted(image, do.everywhere(image), (10, 20, 30), (110, 120, 130))
        assert [edited.getpixel((x, 0)) for x in range(3)] == [(10, 20, 30), (30, 40, 50), (110, 120, 130)]

    def test_a_thing_before_a_smooth_ground_is_filled_from_both_sides(self) -> None:
        ground = np.broadcast_to(np.linspace(40, 100, 61)[None, :, None], (20, 61, 3))
        with_bar = ground.copy()
        with_bar[:, 28:33] = 255
        edited = do.pixels(do.across(do.picture(with_bar), 25, 36, 0, 20, seed=0))
        assert np.abs(edited - ground).max() < 8

    def test_an_oval_is_covered_by_the_plane_of_what_lies_around_it(self) -> None:
        ground = np.broadcast_to(np.linspace(40, 100, 60)[None, :, None], (60, 60, 3))
        image = do.picture(ground)
        with_coin = do.blend(image, Image.new("RGB", image.size, "white"), do.oval(image, (20, 20, 40, 40)))
        edited = do.pixels(do.filled(with_coin, (17, 17, 43, 43), seed=0))
        assert np.abs(edited - ground)[25:35, 25:35].max() < 4

    def test_a_pasted_piece_leaves_the_given_picture_alone(self) -> None:
        image, piece = Image.new("RGB", (2, 1), RED), Image.new("RGB", (1, 1), BLUE)
        edited = do.pasted(image, piece, do.everywhere(piece), (1, 0))
        assert [picture.getpixel((1, 0)) for picture in (image, edited)] == [RED, BLUE]

    def test_noise_is_of_its_seed(self) -> None:
        image = Image.new("RGB", (8, 8), GREY)
        again, other = do.grained(image, 9, seed=1), do.grained(image, 9, seed=2)
        assert do.grained(image, 9, seed=1).tobytes() == again.tobytes() != other.tobytes()
