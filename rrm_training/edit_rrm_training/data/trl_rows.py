"""SFT rows and preference pairs as TRL's trainers take them: chat prompts beside lists of pictures.

Rows stay as they were read; pictures are loaded, or drawn, when a batch asks for them, and never encoded.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from datasets import Dataset
from PIL import Image

from edit_rrm.image_scale import ImageScale
from edit_rrm.images import EditImage
from edit_rrm.principles import Principle
from edit_rrm.prompts import PromptProfile
from edit_rrm_training.data.pictures import load_image, load_picture_of_row
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.data.row_store import row_at
from edit_rrm_training.data.sft_rows import prompt_of

Row = dict[str, Any]


class _SftBatches:
    """Turns rows of the table into what TRL takes, when a batch asks for them."""

    def __init__(self, profile: PromptProfile, scale: ImageScale) -> None:
        self._profile = profile
        self._scale = scale

    def __call__(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        rows = [
            self._made(dict(zip(columns, values, strict=True)))
            for values in zip(*columns.values(), strict=True)
        ]
        return {name: [row[name] for row in rows] for name in ("prompt", "completion", "images")}

    def _made(self, stored: dict[str, Any]) -> Row:
        row, file, number = row_at(stored)
        images = [
            load_picture_of_row(reference, file, number, field, f"row {row.id!r}")
            for field, reference in row.named_pictures.items()
        ]
        return {
            "prompt": prompt_of(row, self._profile).chat(),
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": row.completion}]}],
            "images": [EditImage.from_pil(image, self._scale).image for image in images],
        }


def sft_dataset(stored: Dataset, profile: PromptProfile, scale: ImageScale) -> Dataset:
    """Prompt-completion rows, conversational, with their images, of a table of rows (row_store.py).

    A batch of it raises RowError, with file and row, for a picture that cannot be loaded.
    """
    return stored.with_transform(_SftBatches(profile, scale))


class PairRows:
    """The two images of each pair as rows: 2k asks about the preferred one of pair k, 2k + 1 about the other.

    Every pair has principles here.
    """

    def __init__(
        self,
        pairs: Sequence[PreferencePair],
        folder: Path,
        profile: PromptProfile,
        scale: ImageScale,
    ) -> None:
        without = [pair.id for pair in pairs if not pair.principles]
        if without:
            raise ValueError(f"{len(without)} pairs have no principles, the first is {without[0]!r}")
        self.pairs = pairs
        self._folder = folder
        self._profile = profile
        self._scale = scale

    def __len__(self) -> int:
        return 2 * len(self.pairs)

    def principles(self, index: int) -> tuple[Principle, ...]:
        """What row `index` is asked about."""
        return self.pairs[index // 2].principles or ()

    def __getitem__(self, index: int) -> Row:
        pair = self.pairs[index // 2]
        candidate = pair.non_preferred if index % 2 else pair.preferred
        return {
            "prompt": self._profile.verify(pair.instruction, self.principles(index)).chat(),
            "images": [
                picture(reference, self._folder, self._scale) for reference in (pair.source, candidate)
            ],
            "principles": self.principles(index),
            "instruction": pair.instruction,
        }

    def dataset(self) -> Dataset:
        """The rows as a dataset; a batch that repeats a row holds one and the same row."""
        return _lazy(len(self), self.__getitem__)


def picture(reference: str | bytes, folder: Path, scale: ImageScale) -> Image.Image:
    """The picture as the service would see it: upright RGB, in that scale."""
    return EditImage.from_pil(load_image(reference, folder), scale).image


class _Making:
    """Makes the rows of a batch when it is asked for, a repeated one once."""

    def __init__(self, make: Callable[[int], Row]) -> None:
        self._make = make

    def __call__(self, columns: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        made = {index: self._make(index) for index in dict.fromkeys(columns["row"])}
        rows = [made[index] for index in columns["row"]]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # datasets takes the fingerprint of a transform by pickling it: half a minute for 50,000 rows. Nothing
        # else pickles one (a loader's processes are forked), and nothing is cached under the fingerprint.
        return str, ("rows",)


def _lazy(count: int, make: Callable[[int], Row]) -> Dataset:
    return Dataset.from_dict({"row": range(count)}).with_transform(_Making(make))
