"""What the warm-up shows of a checkpoint: where its template puts images, and what a group shares."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from PIL import Image

from edit_rrm.errors import CheckpointError
from edit_rrm.images import EditImage
from edit_rrm.judges import ZeroShotProfile
from edit_rrm.judges.profiled import ProfiledJudge
from edit_rrm.prompts import ImageSlot, Message, Prompt
from edit_rrm_server.engines.engine import Completion, SamplingSettings
from edit_rrm_server.engines.vllm.probe import PrefixReuse, ProbedEngine, check_images, misplaced, segments
from edit_rrm_server.engines.vllm.rendering import RenderedPrompt
from edit_rrm_server.scoring.warm_up import warm_up

IMAGE = 0x10FFFF
"""Stands for one token of an image; every other token is a character."""


def text_of(ids: Sequence[int]) -> str:
    return "".join(map(chr, ids))


class Family:
    """A model of characters: 8 tokens for the source, 16 for a candidate, `cached` of each prompt."""

    def __init__(
        self, cached: Sequence[int] = (0, 0, 0), *, images_first: bool = False, bright: Any = None
    ) -> None:
        self._cached = iter(cached)
        self._images_first = images_first
        self._bright = bright
        self.lengths: list[int] = []

    async def run(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        adapter: str = "",
    ) -> tuple[RenderedPrompt, Completion]:
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        parts = [part for message in prompt.messages for part in message.parts]
        if self._images_first:
            parts.sort(key=lambda part: not isinstance(part, ImageSlot))
        for part in parts:
            if isinstance(part, ImageSlot):
                spans.append((len(ids), 8 if part is ImageSlot.SOURCE else 16))
                ids += [IMAGE] * spans[-1][1]
            else:
                ids += map(ord, part)
        self.lengths.append(len(ids))
        values = self._bright or [sum(images[slot].image.getpixel((0, 0))) for slot in prompt.slots]
        made = {"mm_kwargs": {"image": [{"pixel_values": Pixels(value)} for value in values]}}
        completion = Completion("1", (), len(ids), next(self._cached), 1, "stop")
        return RenderedPrompt(made, tuple(ids), tuple(spans)), completion


class Pixels:
    """What a processor makes of a plain image."""

    def __init__(self, value: float) -> None:
        self.data = self
        self._value = value

    def float(self) -> "Pixels":
        return self

    def mean(self) -> "float":
        return self._value


async def probed(family: Family) -> ProbedEngine:
    probe = ProbedEngine(family.run, text_of)
    await warm_up(probe, ProfiledJudge(ZeroShotProfile()))
    return probe


async def test_a_template_that_keeps_the_order_and_a_full_cache_are_nothing_to_tell() -> None:
    whole = Family()
    await probed(whole)
    common = whole.lengths[-1] - 16
    probe = await probed(Family((0, 0, common - 32)))
    assert probe.misplaced is None
    assert probe.reuse == PrefixReuse(common, common - 32)
    assert not probe.reuse.lessened


async def test_a_template_that_moves_images_first_is_told_with_the_text_that_suffers() -> None:
    probe = await probed(Family(images_first=True))
    assert probe.misplaced is not None
    assert "The edited image:' stands behind 2 images, not 1" in probe.misplaced


@pytest.mark.parametrize("cached", [(0, 0, 0), (0, 0, 576)])
async def test_a_group_that_shares_less_is_told_by_its_last_candidate(cached: tuple[int, ...]) -> None:
    probe = await probed(Family(cached))
    assert probe.reuse is not None
    assert probe.reuse.lessened
    assert probe.reuse.cached == cached[-1]
    assert 0.0 <= probe.reuse.share < 1.0


async def test_images_that_the_processor_swaps_are_refused() -> None:
    with pytest.raises(CheckpointError, match="order of the images"):
        await probed(Family(bright=[5.0, 1.0]))


async def test_an_image_that_the_processor_drops_is_refused() -> None:
    with pytest.raises(CheckpointError, match="of 2 images the checkpoint's processor made 1"):
        await probed(Family(bright=[5.0]))


def test_images_that_the_engine_has_already_prove_nothing() -> None:
    dark, light = (EditImage.from_pil(Image.new("RGB", (8, 8), (grey,) * 3)) for grey in (10, 200))
    check_images([None, 0.5], [dark, light])


def test_a_text_that_is_gone_is_refused() -> None:
    prompt = Prompt((Message("system", ("the rules",)), Message("user", (ImageSlot.SOURCE, "the wish"))))
    with pytest.raises(CheckpointError, match="lack the text that ends 'the rules'"):
        misplaced(prompt, ["", "the wish"])
    assert misplaced(prompt, ["the  rules", " the wish\n"]) is None


def test_segments_are_the_texts_around_the_images() -> None:
    ids = [*map(ord, "ab"), IMAGE, IMAGE, *map(ord, "c"), IMAGE]
    rendered = RenderedPrompt(None, tuple(ids), ((2, 2), (5, 1)))
    assert segments(rendered, text_of) == ["ab", "c", ""]
