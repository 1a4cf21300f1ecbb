"""vLLM itself, with the settings and the prompts of the service, for the side it is compared with.

What the service leaves to vLLM's defaults is said here where those depend on who asks: the step's token
budget is 2048 for AsyncLLM, 4096 for the offline LLM; the executor puts the worker in a process of its
own, which the service does not.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from edit_rrm.checkpoint import read_card
from edit_rrm.images import EditImage
from edit_rrm.judges import get_profile
from edit_rrm.prompts import ImageSlot, Message, Prompt
from edit_rrm.tokens import TokenReader
from edit_rrm.verdict_probability import VERDICT_TEXTS
from edit_rrm.wire import Sampling
from edit_rrm_server.engines.vllm.chat_text import ChatText
from edit_rrm_server.engines.vllm.start import engine_arguments, prepare_environment
from edit_rrm_server.scoring.sampling import sampling_of
from edit_rrm_server.settings.server import ServerSettings
from rig.calls import Group

STEP_TOKENS = 2048
WORKER_INSIDE = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
"""By its path: vLLM's CPU platform turns the short name "uni" into "mp" beside an engine process."""

Layout = Callable[[Prompt], Prompt]
LONG_PROMPT_TOKENS = 800


def settings_for(model: Path, **changes: Any) -> ServerSettings:
    """The service's settings, in an environment that is prepared as the service prepares its own."""
    settings = ServerSettings(model=model, forkserver=False, **changes)
    prepare_environment(settings)
    return settings


def same_arguments(settings: ServerSettings) -> dict[str, Any]:
    """The service's engine arguments as `LLM` takes them."""
    arguments = engine_arguments(settings)
    del arguments["enable_log_requests"]
    return {
        **arguments,
        "max_num_batched_tokens": STEP_TOKENS,
        "distributed_executor_backend": WORKER_INSIDE,
    }


def command_line(arguments: dict[str, Any]) -> list[str]:
    """The same as arguments of `vllm serve`."""
    given = dict(arguments)
    line = ["--model", given.pop("model")]
    for name, value in given.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            line.append(f"--{option}" if value else f"--no-{option}")
        else:
            line += [f"--{option}", json.dumps(value) if isinstance(value, dict) else str(value)]
    return line


@contextmanager
def offline_llm(settings: ServerSettings, *, own_process: bool) -> Iterator[Any]:
    """vLLM's offline `LLM`, its engine in a process of its own as the service's is, or in this one."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = str(int(own_process))
    from vllm import LLM

    llm = LLM(**same_arguments(settings))
    try:
        yield llm
    finally:
        llm.llm_engine.engine_core.shutdown()


def as_served(prompt: Prompt) -> Prompt:
    """The service's layout: source, instruction, principles, candidate."""
    return prompt


def images_first(prompt: Prompt) -> Prompt:
    """The usual layout: both images, then the text. Nothing past the source is shared by a group."""
    return Prompt(
        tuple(
            Message(
                message.role,
                tuple(sorted(message.parts, key=lambda part: not isinstance(part, ImageSlot))),
            )
            for message in prompt.messages
        )
    )


class Judge:
    """How the service asks a checkpoint, for those who ask vLLM without it."""

    def __init__(self, model: Path, tokenizer: Any) -> None:
        self._card = read_card(model)
        self._profile = get_profile(self._card.profile)
        self._tokenizer = tokenizer
        self._chat = ChatText(tokenizer)
        self.watched_ids = list(TokenReader(tokenizer).watched_ids(VERDICT_TEXTS))
        self.draw = sampling_of(self._card.sampling, Sampling())

    def prompt(self, group: Group, layout: Layout = as_served) -> Prompt:
        """The prompt of a group; its candidates differ in an image only."""
        return layout(self._profile.verify(group.instruction, group.principles))

    def text(self, group: Group, layout: Layout = as_served) -> str:
        """The same through the checkpoint's chat template."""
        return self._chat.render(self.prompt(group, layout))

    def text_tokens(self, group: Group) -> int:
        """Tokens of that text; an image is one here."""
        return len(self._tokenizer.encode(self.text(group)))

    def prompts(self, group: Group, layout: Layout = as_served) -> list[dict[str, Any]]:
        """One prompt a candidate as vLLM takes them, images known by their digests."""
        text, slots = self.text(group, layout), self.prompt(group, layout).slots
        source = self._image(group.source)
        prompts = []
        for candidate in map(self._image, group.candidates):
            images = {ImageSlot.SOURCE: source, ImageSlot.CANDIDATE: candidate}
            prompts.append(
                {
                    "prompt": text,
                    "multi_modal_data": {"image": [images[slot].image for slot in slots]},
                    "multi_modal_uuids": {"image": [images[slot].digest for slot in slots]},
                }
            )
        return prompts

    def sampling(self, *, exactly: int | None = None) -> Any:
        """The service's draw, with the verdict tokens' log-probabilities; `exactly` that many tokens.

        As in the service vLLM gives token ids and writes no text.
        """
        from vllm import SamplingParams

        return SamplingParams(
            temperature=self.draw.temperature,
            top_p=self.draw.top_p,
            seed=self.draw.seed,
            max_tokens=self.draw.max_tokens if exactly is None else exactly,
            ignore_eos=exactly is not None,
            logprob_token_ids=self.watched_ids or None,
            detokenize=False,
            flat_logprobs=True,
        )

    def _image(self, image: Image.Image) -> EditImage:
        return EditImage.from_pil(image, self._card.scale)


def lengthened(group: Group, judge: Judge) -> Group:
    """The group with an instruction that repeats its questions until the text alone has 800 tokens."""
    longer, number = group, 0
    while judge.text_tokens(longer) < LONG_PROMPT_TOKENS:
        question = group.principles[number % len(group.principles)].question
        longer, number = replace(longer, instruction=f"{longer.instruction}; {question}"), number + 1
    return longer
