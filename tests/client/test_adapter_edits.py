"""Edits, their groups and the forms of their images, without a service."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adapter_batches import Judge, floats, picture, pixels
from PIL import Image

from edit_rrm_client import InvalidImageError, InvalidRequestError, ScoringFailedError
from edit_rrm_client._images import encode_image
from edit_rrm_client.adapters._edits import Edit, batch_of
from edit_rrm_client.adapters._media import image_input, rows_of
from edit_rrm_client.adapters._outcomes import Failed, Scored
from edit_rrm_client.adapters._scoring import score_edits, score_edits_async


def file_of(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


class TestGroups:
    def test_content_makes_a_group_whatever_object_or_place_it_comes_in(self) -> None:
        edits = [
            Edit("x", picture(1), picture(9)),
            Edit("y", picture(1), picture(9)),
            Edit("x", picture(2), picture(9)),
            Edit("x", picture(1), picture(9)),
        ]
        assert [group.places for group in batch_of(edits, "png").groups] == [(0, 3), (1,), (2,)]

    def test_an_id_makes_a_group_and_its_instructions_must_agree(self) -> None:
        edits = [Edit("x", picture(1), picture(9), group=7), Edit("x", picture(1), picture(9), group=8)]
        assert [group.places for group in batch_of(edits, "png").groups] == [(0,), (1,)]
        edits[1] = Edit("y", picture(1), picture(9), group=7)
        with pytest.raises(InvalidRequestError, match="edits 0 and 1 have the group id 7"):
            batch_of(edits, "png")

    def test_several_sources_make_a_group_by_their_content_and_order(self) -> None:
        edits = [
            Edit("x", [picture(1), picture(2)], picture(9)),
            Edit("x", [picture(2), picture(1)], picture(9)),
            Edit("x", picture(1), picture(9)),
            Edit("x", (picture(1), picture(2)), picture(9)),
        ]
        groups = batch_of(edits, "png").groups
        assert [group.places for group in groups] == [(0, 3), (1,), (2,)]
        judge = Judge()
        score_edits(judge.client(), edits, {})
        assert sorted(judge.sources) == [[1], [1, 2], [2, 1]]

    def test_a_group_of_more_than_a_call_may_hold_is_cut(self) -> None:
        edits = [Edit("x", picture(1), picture(9))] * 65
        assert [len(group.places) for group in batch_of(edits, "png").groups] == [64, 1]

    def test_an_edit_without_an_image_is_in_no_group(self) -> None:
        edits = [Edit("x", picture(1), None), Edit("x", picture(1), picture(9))]
        assert [group.places for group in batch_of(edits, "png").groups] == [(1,)]

    def test_outcomes_stand_where_their_edits_stood(self) -> None:
        judge = Judge()
        edits = [
            Edit("x", picture(1), picture(10)),
            Edit("y", picture(1), picture(20)),
            Edit("x", picture(1), None),
            Edit("x", picture(1), picture(30)),
        ]
        outcomes = score_edits(judge.client(), edits, {})
        rewards = [outcome.result.reward for outcome in outcomes if isinstance(outcome, Scored)]
        assert rewards == [0.1, 0.2, 0.3]
        assert isinstance(outcomes[2], Failed)
        assert isinstance(outcomes[2].error, ScoringFailedError)

    def test_an_empty_batch_is_no_call(self) -> None:
        judge = Judge()
        assert score_edits(judge.client(), [], {}) == []
        assert judge.calls == []

    def test_options_reach_the_call(self) -> None:
        judge = Judge()
        score_edits(judge.client(), [Edit("x", picture(1), picture(2))], {"samples": 4, "priority": "bulk"})
        request: Any = judge.calls[0].request
        assert (request.samples, request.priority) == (4, "bulk")


class TestImages:
    def same(self, given: Any) -> None:
        """The trainer's image is sent as picture(70)."""
        sent = encode_image(image_input(given, "image"), "image")
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(sent.data)).convert("RGB")), pixels(70)[0]
        )

    def test_every_form_a_trainer_uses_is_the_same_picture(self, tmp_path: Path) -> None:
        path = tmp_path / "edited.png"
        file = file_of(picture(70))
        path.write_bytes(file)
        text = base64.b64encode(file).decode()
        for given in (
            picture(70),
            file,
            str(path),
            path,
            text,
            f"data:image/png;base64,{text}",
            {"bytes": file, "path": None},
            {"bytes": None, "path": str(path)},
            pixels(70)[0],
            pixels(70),  # a batch of one
            pixels(70)[0].transpose(2, 0, 1),
            floats(70)[0],
            floats(70),
        ):
            self.same(given)

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
    def test_base64_of_the_other_formats_is_known_too(self, kind: str) -> None:
        file = file_of(picture(70), kind)
        assert image_input(base64.b64encode(file).decode(), "image") == file

    def test_what_cannot_be_an_image_is_named(self) -> None:
        with pytest.raises(InvalidImageError, match="image: looks like base64 and is not"):
            image_input("data:image/png;base64,????", "image")
        with pytest.raises(InvalidImageError, match="expected 'bytes' or 'path'"):
            image_input({"url": "http://example.com/a.png"}, "image")

    def test_a_batch_is_a_list_or_has_four_dimensions(self) -> None:
        assert len(rows_of(floats(1, 2), "images")) == 2
        assert rows_of((1, 2), "images") == [1, 2]
        for given in (floats(1)[0], "edited.png", picture(1)):
            with pytest.raises(InvalidRequestError, match="images: expected a list of images or a batch"):
                rows_of(given, "images")


NAN = floats(10)[0].copy()
NAN[1, 2, 3] = np.nan
OUTSIDE = floats(10)[0] * np.float32(100)


class TestOneBadEdit:
    """It fails by itself, with its place; the others keep their rewards."""

    @pytest.mark.parametrize(
        ("edit", "code", "words"),
        [
            (Edit("x", picture(1), NAN), "invalid_image", "edit 1: .*nan at row 2, column 3, channel 1"),
            (
                Edit("x", picture(1), OUTSIDE),
                "invalid_image",
                "edited image of edit 1: expected float values",
            ),
            (Edit("x", picture(1), "no/such/file.png"), "invalid_image", "No such file"),
            (Edit("x", picture(1), Image.new("F", (4, 4))), "invalid_image", "no known range"),
            (Edit("x", picture(1), {"url": "x"}), "invalid_image", "edit 1: expected 'bytes' or 'path'"),
            (Edit("x", picture(1), None), "no_edited_image", "edit 1 has no edited image"),
            (Edit("x", None, picture(20)), "invalid_image", "source of edit 1: expected a path"),
            (Edit("x", [], picture(20)), "invalid_request", "source of edit 1: expected 1 to 4 .* got 0"),
            (Edit("x", ["a"] * 5, picture(20)), "invalid_request", "expected 1 to 4 source images, got 5"),
            (Edit("x", [picture(1), {}], picture(20)), "invalid_image", r"source of edit 1\[1\]: expected"),
            (Edit("", picture(1), picture(20)), "invalid_request", "instruction of edit 1: holds nothing"),
            (Edit(None, picture(1), picture(20)), "invalid_request", "edit 1: expected a text, got NoneType"),
            (Edit("x" * 4001, picture(1), picture(20)), "invalid_request", "at most 4000 characters"),
        ],
    )
    async def test_it_costs_no_other(self, edit: Edit, code: str, words: str) -> None:
        edits = [Edit("x", picture(1), picture(10)), edit, Edit("x", picture(1), picture(30))]
        judge = Judge()
        for outcomes in (
            score_edits(judge.client(), edits, {}),
            await score_edits_async(judge.asyncio_client(), edits, {}),
        ):
            first, bad, last = outcomes
            assert isinstance(first, Scored)
            assert isinstance(last, Scored)
            assert (first.result.reward, last.result.reward) == (0.1, 0.3)
            assert isinstance(bad, Failed)
            assert bad.error.code == code
            assert re.search(words, str(bad.error))

    def test_where_none_could_be_sent_the_first_reason_is_raised(self) -> None:
        edits = [Edit("x", None, picture(10)), Edit("", picture(1), picture(10))]
        with pytest.raises(InvalidImageError, match="source of edit 0"):
            score_edits(Judge().client(), edits, {})
        first, _ = score_edits(Judge().client(), edits, {}, alone=True)
        assert isinstance(first, Failed)

    def test_a_group_that_the_service_refuses_costs_no_other(self) -> None:
        judge = Judge()
        edits = [Edit("x", picture(1), picture(10)), Edit("y", picture(2), picture(20))]
        judge.fail(422, times=1)
        outcomes = score_edits(judge.client(), edits, {})
        assert [isinstance(outcome, Failed) for outcome in outcomes].count(True) == 1

    def test_a_value_that_arithmetic_left_a_little_outside_is_clamped(self) -> None:
        slightly = np.full((4, 4, 3), 1.0000002, np.float32)
        slightly[0, 0] = -0.0009
        sent = np.asarray(Image.open(io.BytesIO(encode_image(slightly, "image").data)))
        assert sent[0, 0].tolist() == [0, 0, 0]
        assert sent[1, 1].tolist() == [255, 255, 255]
        slightly[2, 3, 0] = 1.0011
        with pytest.raises(InvalidImageError, match=r"1\.0011 at row 2, column 3, channel 0"):
            encode_image(slightly, "image")
