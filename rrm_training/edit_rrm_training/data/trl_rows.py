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
from edit_rrm_training.data.pictures import load_image
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.data.sft_rows import SftRow, prompt_of

Row = dict[str, Any]


def sft_dataset(rows: Sequence[tuple[SftRow, Path]], profile: PromptProfile, scale: ImageScale) -> Dataset:
    """Prompt-completion rows, conversational, with their images; each row comes with the folder its paths
    are relative to."""

    def make(index: int) -> Row:
        row, folder = rows[index]
        return {
            "prompt": prompt_of(row, profile).chat(),
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": row.completion}]}],
            "images": [picture(reference, folder, scale) for reference in row.pictures],
        }

    return _lazy(len(rows), make)


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
