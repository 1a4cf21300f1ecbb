"""Comparisons through the service: each candidate once, answers kept as they come, labels kept beside."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from PIL import Image

from edit_rrm.errors import ImageError
from edit_rrm.images import decode_image, encode_png
from edit_rrm.wire import CandidateScored
from edit_rrm_client._client import RewardClient
from edit_rrm_client._many import ItemResult, ItemScored, ScoreItem
from edit_rrm_client.bench.accuracy import Judged
from edit_rrm_client.bench.answers import Answers, By, answer_of
from edit_rrm_client.bench.comparisons import Comparison, Label, edit_digest
from edit_rrm_client.bulk.errors import InputError, ModelChangedError
from edit_rrm_client.errors import AuthenticationError, UnavailableError


@dataclass
class Run:
    """A run under way: the labels read so far, and which candidates each is about."""

    answers: Answers
    rrm: str
    resize: bool
    on_read: Callable[[], None] = lambda: None
    failures: Counter[str] = field(default_factory=Counter)
    """Error codes of candidates that could not be scored."""
    _labels: list[tuple[Label, str, str]] = field(default_factory=list)
    _asked: list[tuple[str, ...]] = field(default_factory=list)
    """The candidates of each call, in the order of the calls."""

    def score(
        self, comparisons: Iterable[Comparison], client: RewardClient, samples: int, concurrency: int
    ) -> None:
        """Asks for every candidate without an answer.

        Guards only report: the reward model alone is measured. Raises what makes going on pointless:
        a service that is away, a key that is refused, another checkpoint, a bad row.
        """
        results = client.score_many(
            self._items(comparisons), concurrency=concurrency, ordered=False, samples=samples, guards="report"
        )
        with closing(results):
            for result in results:
                self._take(result, self._asked[result.index])

    def judged(self, by: By) -> list[Judged]:
        """Every comparison that was read with the values of its two candidates."""
        return [
            Judged(label, self._value(left, label, by), self._value(right, label, by))
            for label, left, right in self._labels
        ]

    def _take(self, result: ItemResult, candidates: tuple[str, ...]) -> None:
        if not isinstance(result, ItemScored):
            if isinstance(result.error, UnavailableError | AuthenticationError):
                raise result.error
            self.failures[result.error.code] += len(candidates)
            return
        if result.answer.model != self.rrm:
            raise ModelChangedError(f"asked {self.rrm}, but {result.answer.model} answered")
        for candidate, scored in zip(candidates, result.answer.results, strict=True):
            if isinstance(scored, CandidateScored):
                self.answers.add(answer_of(candidate, scored, result.answer))
            else:
                self.failures[scored.error.code] += 1

    def _value(self, candidate: str, label: Label, by: By) -> float | None:
        answer = self.answers.known.get(candidate)
        return None if answer is None else answer.value(label.dimension, by)

    def _items(self, comparisons: Iterable[Comparison]) -> Iterator[ScoreItem]:
        seen = set(self.answers.known)
        for comparison in comparisons:
            named = [
                (edit_digest(comparison.instruction, *comparison.sources, image), image)
                for image in (comparison.left, comparison.right)
            ]
            (left, _), (right, _) = named
            self._labels.append((comparison.label, left, right))
            self.on_read()
            new = {name: image for name, image in named if name not in seen}
            if new:
                seen.update(new)
                self._asked.append(tuple(new))
                yield ScoreItem(
                    key=comparison.label.row,
                    instruction=comparison.instruction,
                    source=list(comparison.sources),
                    candidates=[self._sized(image, comparison) for image in new.values()],
                )

    def _sized(self, image: bytes, comparison: Comparison) -> bytes:
        return resized(image, comparison.source, comparison.label.row) if self.resize else image


def resized(image: bytes, source: bytes, row: str) -> bytes:
    """The image at the source's size, as EditScore's evaluation does it; unchanged if it has that size.

    Raises InputError for an image that does not decode.
    """
    size = _decoded(source, f"{row}: the source image").size
    edited = _decoded(image, f"{row}: an edited image")
    return image if edited.size == size else encode_png(edited.resize(size, Image.Resampling.BICUBIC))


def _decoded(data: bytes, name: str) -> Image.Image:
    try:
        return decode_image(data).image
    except ImageError as error:
        raise InputError(f"{name}: {error}") from error
