"""References to pictures."""

from pathlib import Path

import pytest
from PIL import Image

from edit_rrm.errors import ImageError, PluginError
from edit_rrm.images import encode_png
from edit_rrm_shapes.world.dataset import make_edit
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.data.pictures import data_url, load_image, rebased

RED = Image.new("RGB", (4, 3), (200, 0, 0))


def test_a_path_starts_at_the_directory_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    RED.save(tmp_path / "images" / "red.png")
    assert load_image("images/red.png", tmp_path).tobytes() == RED.tobytes()
    assert load_image(str(tmp_path / "images" / "red.png"), Path("/elsewhere")).size == (4, 3)


def test_bytes_and_their_data_url_are_the_same_picture() -> None:
    data = encode_png(RED)
    assert load_image(data, Path()).tobytes() == load_image(data_url(data), Path()).tobytes() == RED.tobytes()
    with pytest.raises(ImageError):
        load_image(b"no image", Path())


def test_a_shapes_reference_is_the_picture_of_the_world() -> None:
    edit = make_edit(5, 17, 4)
    assert load_image("shapes:5/17/source", Path()).tobytes() == edit.picture().tobytes()
    assert load_image("shapes:5/17/2", Path()).tobytes() == edit.candidates[2].picture().tobytes()
    # A candidate beyond the fourth exists too, and the first four stay what they are.
    assert (
        load_image("shapes:5/17/6", Path()).tobytes() == make_edit(5, 17, 7).candidates[6].picture().tobytes()
    )


def test_a_shapes_reference_reads_as_it_is_written() -> None:
    for reference in (ShapesRef(5, 17), ShapesRef(0, 3, 2)):
        assert ShapesRef.parse(str(reference)) == reference
    assert ShapesRef.parse("shapes.png") is None
    assert ShapesRef.parse(b"shapes:1/2/3") is None


def test_only_relative_paths_change_when_a_row_moves(tmp_path: Path) -> None:
    old, new = tmp_path / "a", tmp_path / "b" / "c"
    assert rebased("images/x.png", old, new) == "../../a/images/x.png"
    for fixed in ("/abs/x.png", "shapes:1/2/source", data_url(b"x"), b"bytes"):
        assert rebased(fixed, old, new) == fixed


def test_a_scheme_that_nothing_draws_is_named_and_is_no_path(tmp_path: Path) -> None:
    for reference, scheme in (("blobs:1/0/source", "blobs"), ("https://host/a.png", "https")):
        with pytest.raises(PluginError, match=f"no installed package draws {scheme}: .*edit-rrm-shapes"):
            load_image(reference, tmp_path)
        assert rebased(reference, tmp_path / "a", tmp_path / "b" / "c") == reference
    RED.save(tmp_path / "blobs:1.png")
    assert load_image("blobs:1.png", tmp_path).size == RED.size
    with pytest.raises(ImageError, match="no base64"):
        load_image("data:image/png;base64,x", tmp_path)
