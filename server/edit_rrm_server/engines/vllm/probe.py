"""What a checkpoint makes of a group's prompts, seen while it is warmed up and before anybody calls.

A template may move images to the front, and the words "the edited image:" stand before nothing; a processor
may swap or drop one; a family may share less of a group's beginning. None of it is an error of any part.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from edit_rrm.errors import CheckpointError
from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_server.engines.engine import Completion, SamplingSettings
from edit_rrm_server.engines.vllm.rendering import RenderedPrompt

logger = logging.getLogger(__name__)

_KNOWN_BY_CHARACTERS = 24
"""The end of a text, by which it is found again."""
_UNSHARED_TOKENS = 96
"""Of a common beginning: what rounding to blocks and the answer's own beginning may cost, not more."""


@dataclass(frozen=True)
class PrefixReuse:
    """Tokens that a group's prompts have in common, and how many of them came from the cache."""

    common: int
    cached: int

    @property
    def share(self) -> float:
        """0 to 1."""
        return min(1.0, self.cached / self.common)

    @property
    def lessened(self) -> bool:
        """Whether more is computed again than rounding to blocks explains."""
        return self.common - self.cached > _UNSHARED_TOKENS


Run = Callable[
    [Prompt, Mapping[ImageSlot, EditImage], SamplingSettings, tuple[str, ...], str],
    Awaitable[tuple[RenderedPrompt, Completion]],
]


class ProbedEngine:
    """A `PromptRunner` for the warm-up, by way of `run`; `text_of` token ids is their text.

    Raises CheckpointError when text of a prompt is gone, or when its images are not those that were given.
    """

    def __init__(self, run: Run, text_of: Callable[[Sequence[int]], str]) -> None:
        self._run = run
        self._text_of = text_of
        self.reuse: PrefixReuse | None = None
        """The least of any prompt, the last time it came; None before one came again."""
        self.misplaced: str | None = None
        """What stands elsewhere than the prompt says, if anything does."""
        self._seen: list[Prompt] = []

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
        adapter: str = "",
    ) -> Completion:
        """See `Engine.generate`."""
        rendered, completion = await self._run(prompt, images, sampling, watched, adapter)
        if prompt not in self._seen:
            self._seen.append(prompt)
            self._look_at(prompt, rendered, [images[slot] for slot in prompt.slots])
        elif rendered.image_spans:
            common = len(rendered.token_ids) - rendered.image_spans[-1][1]
            found = PrefixReuse(common, completion.cached_prompt_tokens)
            if self.reuse is None or found.share < self.reuse.share:
                self.reuse = found
        return completion

    def _look_at(self, prompt: Prompt, rendered: RenderedPrompt, images: Sequence[EditImage]) -> None:
        sizes = [length for _, length in rendered.image_spans]
        logger.info(
            "a verification's prompt: %d tokens, of which the images %s",
            len(rendered.token_ids),
            " and ".join(map(str, sizes)),
        )
        logger.debug("its text: %s", self._text_of(rendered.token_ids))
        check_images(rendered.brightness, images)
        self.misplaced = self.misplaced or misplaced(prompt, segments(rendered, self._text_of))


def segments(rendered: RenderedPrompt, text_of: Callable[[Sequence[int]], str]) -> list[str]:
    """The texts before, between and after the images."""
    found, begun = [], 0
    for start, length in rendered.image_spans:
        found.append(text_of(rendered.token_ids[begun:start]))
        begun = start + length
    return [*found, text_of(rendered.token_ids[begun:])]


def misplaced(prompt: Prompt, texts: Sequence[str]) -> str | None:
    """How the texts stand to the images, if not as in the prompt. Raises CheckpointError when one is gone."""
    bare = ["".join(text.split()) for text in texts]
    wrong = []
    place = 0
    for message in prompt.messages:
        for part in message.parts:
            if isinstance(part, ImageSlot):
                place += 1
                continue
            known_by = "".join(part.split())[-_KNOWN_BY_CHARACTERS:]
            at = [index for index, text in enumerate(bare) if known_by in text]
            if not at:
                raise CheckpointError(f"the checkpoint's prompts lack the text that ends {part[-40:]!r}")
            if place not in at:
                wrong.append(
                    f"the text that ends {part.strip()[-40:]!r} stands behind {at[-1]} images, not {place}"
                )
    return "; ".join(wrong) or None


def check_images(brightness: Sequence[float | None], images: Sequence[EditImage]) -> None:
    """Raises CheckpointError unless of two images the darker one is so after the processor too."""
    if len(brightness) != len(images):
        raise CheckpointError(f"of {len(images)} images the checkpoint's processor made {len(brightness)}")
    known = [value for value in brightness if value is not None]
    if len(known) == len(images) == 2:
        given = [image.image.convert("L").resize((1, 1)).tobytes() for image in images]
        if (given[0] < given[1]) != (known[0] < known[1]):
            raise CheckpointError("the checkpoint's processor changes the order of the images")
