"""Each distinct picture and prompt of a rollout is preprocessed once, and its traces share what was made.

A rollout asks for the pixels of an image again for each of its N traces, of a source for both sides of a
pair, and TRL asks twice, once to generate and once to learn (`benchmarks/gcpo_step.py` has the seconds). Here
the parts of the processor see everything once. Patches of Qwen-VL's kind are then held once, too: rows of one
picture refer to one tensor, and are stacked for the forward pass that reads them. What a model is called with
is that of the plain way, to the bit.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import torch
from PIL import Image
from transformers import BatchEncoding, BatchFeature
from transformers.image_utils import make_flat_list_of_images

_PIXELS, _GRIDS = "pixel_values", "image_grid_thw"
_BY_ROW = {_PIXELS: "pixels_by_row", _GRIDS: "grids_by_row"}
_KNOWN = frozenset({_PIXELS, _GRIDS, "num_patches", "num_crops", "image_sizes"})
"""What an image processor may return to be told apart by image; another one is asked in the plain way."""


class _StandIn:
    """Stands where a part of a processor does."""

    def __init__(self, part: Any) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)


class _TextsOnce(_StandIn):
    def __call__(self, text: Any, **options: Any) -> BatchEncoding:
        if isinstance(text, str) or not all(isinstance(each, str) for each in text):
            return self._part(text, **options)
        place = {each: index for index, each in enumerate(dict.fromkeys(text))}
        made = self._part(list(place), **options)
        order = [place[each] for each in text]
        return BatchEncoding({
            name: of_all[order] if isinstance(of_all, torch.Tensor) else [of_all[index] for index in order]
            for name, of_all in made.items()
        })  # fmt: skip


class RolloutImages(_StandIn):
    """An image processor that remembers what it made. Where there are grids, the `pixel_values` that come out
    hold each picture once, in the order of first appearance: `whole` and `by_row` repeat them."""

    def __init__(self, part: Any, device: torch.device) -> None:
        super().__init__(part)
        self._device = device
        self._made: dict[object, Mapping[str, Any]] = {}
        self._pictures: list[torch.Tensor] | None = None
        self._order: list[int] = []

    def __call__(self, images: Any, return_tensors: Any = None, **options: Any) -> BatchFeature:
        flat = make_flat_list_of_images(images)
        if not all(isinstance(image, Image.Image) for image in flat):
            return self._part(images, return_tensors=return_tensors, **options)
        of_object = {id(image): image for image in flat}
        digests = {key: _digest(image) for key, image in of_object.items()}
        distinct = {digests[key]: image for key, image in of_object.items()}
        place = {digest: index for index, digest in enumerate(distinct)}
        order = [place[digests[id(image)]] for image in flat]
        key = (tuple(distinct), tuple(order), repr(sorted(options.items())))
        if key not in self._made:
            made = self._part(list(distinct.values()), **options)
            repeated = self._repeated(made, len(distinct), order)
            self._made[key] = self._part(images, **options) if repeated is None else repeated
        return BatchFeature(dict(self._made[key]), tensor_type=return_tensors)

    def whole(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A model's inputs with the pixels of every image."""
        if self._pictures is None or _PIXELS not in fields:
            return dict(fields)
        return {**fields, _PIXELS: torch.cat([self._pictures[place] for place in self._order])}

    def by_row(self, rollout: Mapping[str, Any]) -> dict[str, Any]:
        """TRL's scored rollout, with a list of each row's pixels and one of its grids for what is flat there;
        `stacked` undoes it."""
        if self._pictures is None:
            return dict(rollout)
        pictures, counts = self._pictures, rollout["num_images"]
        places = [tuple(row) for row in _cut(self._order, counts)]
        pixels = {row: torch.cat([pictures[place] for place in row]) for row in dict.fromkeys(places)}
        others = {name: value for name, value in rollout.items() if name not in _BY_ROW}
        grids = list(torch.split(rollout[_GRIDS], counts))
        return {**others, _BY_ROW[_PIXELS]: [pixels[row] for row in places], _BY_ROW[_GRIDS]: grids}

    def _repeated(self, made: Mapping[str, Any], images: int, order: list[int]) -> dict[str, Any] | None:
        """What was made of so many images, for a list in which they come in that order; None where it is not
        known which part of it belongs to which image."""
        if not _KNOWN.issuperset(made):
            return None
        pixels = made[_PIXELS]
        if isinstance(pixels, torch.Tensor):
            pixels = pixels.to(self._device)
        if _GRIDS in made:
            grids = torch.as_tensor(made[_GRIDS])
            self._pictures, self._order = list(torch.split(pixels, grids.prod(dim=1).tolist())), order
            return {_PIXELS: pixels, _GRIDS: grids[order]}
        if len(pixels) != images and len(pixels) != sum(made.get("num_patches", ())):
            return None
        tiles = [1] * images if len(pixels) == images else [int(count) for count in made["num_patches"]]
        return {
            name: _in_order(_cut(of_all, tiles if name == _PIXELS else [1] * images), order)
            for name, of_all in {**made, _PIXELS: pixels}.items()
        }


@contextmanager
def preprocessed_once(processor: Any, device: torch.device) -> Iterator[RolloutImages]:
    """Within, `processor` preprocesses no picture twice with the same options, and tokenises no text of one
    call twice. Pixels go to `device` before they are repeated."""
    image_processor, tokenizer = processor.image_processor, processor.tokenizer
    processor.image_processor = images = RolloutImages(image_processor, device)
    processor.tokenizer = _TextsOnce(tokenizer)
    try:
        yield images
    finally:
        processor.image_processor, processor.tokenizer = image_processor, tokenizer


def stacked(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of a rollout as a model takes them: their pixels and grids one tensor each."""
    names = {by_row: flat for flat, by_row in _BY_ROW.items() if by_row in rows}
    return {
        names.get(name, name): torch.cat(value) if name in names else value for name, value in rows.items()
    }


def _digest(image: Image.Image) -> bytes:
    return hashlib.blake2b(image.tobytes(), key=f"{image.mode} {image.size}".encode()).digest()


def _cut(rows: Any, counts: Sequence[int]) -> list[Any]:
    return [rows[end - count : end] for end, count in zip(accumulate(counts), counts, strict=True)]


def _in_order(parts: Sequence[Any], order: Sequence[int]) -> Any:
    chosen = [parts[place] for place in order]
    if isinstance(chosen[0], torch.Tensor):
        return torch.cat(chosen)
    return [row for part in chosen for row in part]
