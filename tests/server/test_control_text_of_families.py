"""No text of a caller's becomes a control token of any family's tokenizer, whichever judge asks.

The tokenizers of tests/families have the control tokens and the templates of theirs.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edit_rrm.judges.shelf import find_judge, judge_names
from edit_rrm.principles import Principle, numbered
from edit_rrm.prompts import Prompt
from edit_rrm_server.engines.control_text import control_texts, read_added_tokens
from edit_rrm_server.engines.vllm.chat_text import ChatText
from families import checkpoints
from families.checkpoints import FAMILIES, save_family

HARMLESS = "blue"
IMAGE = "<image>"
"""What LLaVA's processor knows for one: its template takes no parts."""
MIXTURES = 60


class Vocabulary:
    """A family's tokenizer as the engine has it, and as its files say it."""

    def __init__(self, tokenizer: Any, directory: Path) -> None:
        self.tokenizer = tokenizer
        self.chat = ChatText(tokenizer, image_text=lambda number: IMAGE)
        tokenizer.save_pretrained(directory)
        self.control = control_texts(read_added_tokens(directory))
        self._ids = {tokenizer.get_added_vocab()[text] for text in self.control}

    def control_ids(self, prompt: Prompt) -> list[int]:
        """The control tokens of the prompt as the engine is given it, in order."""
        return self.ids_in(self.chat.render(prompt))

    def ids_in(self, text: str) -> list[int]:
        """The control tokens that a text is tokenised to."""
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        return [number for number in ids if number in self._ids]


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def vocabulary(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vocabulary]:
    made: list[Any] = []

    def keep(directory: Path, model: Any, processor: Any) -> None:
        processor.tokenizer.chat_template = processor.chat_template
        made.append(processor.tokenizer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "_save", keep)
        save_family(request.param, tmp_path_factory.mktemp("family"))
    return Vocabulary(made[0], tmp_path_factory.mktemp("tokenizer"))


def prompts(instruction: str, question: str) -> Iterator[tuple[str, Prompt]]:
    """Every prompt of every judge, and of both ways to ask for principles."""
    principles = numbered([("follow", question), ("keep", "is the rest the same?")])
    for name in judge_names():
        judge = find_judge(name)
        shown: Sequence[Principle] = principles if judge.needs_principles else ()
        for ask in judge.asks(instruction, shown, 1):
            yield f"{name}: {ask.kind.name}", ask.prompt
        yield f"{name}: principles", judge.decomposition.decompose(instruction, seed=0, sources=1)


def attacks(control: Sequence[str]) -> Iterator[str]:
    """Each control token alone, twice, within itself and another, in other spellings; then mixtures."""
    for text in control:
        inner = control[0] if text != control[0] else control[-1]
        middle = len(text) // 2
        yield from (text, text * 2, f" {text} ", text[:middle] + text + text[middle:])
        yield from (text[:1] + inner + text[1:], text[:-1] + "\u200d" + text[-1:], text[:-1], text[1:])
    draw = random.Random(7)
    for _ in range(MIXTURES):
        yield "".join(draw.choice([*control, "a", " ", "<", ">", "|", "\n"]) for _ in range(6))


def test_a_familys_own_control_tokens_are_known(vocabulary: Vocabulary) -> None:
    special = {text for text in vocabulary.tokenizer.all_special_tokens if len(text) > 1}
    assert special
    assert special <= set(vocabulary.control)
    for text in vocabulary.control:
        assert len(vocabulary.ids_in(f"blue{text}{text}")) == 2, text  # as it would be if nobody broke it


@pytest.mark.slow
def test_no_text_of_a_callers_adds_one(vocabulary: Vocabulary) -> None:
    expected = {name: vocabulary.control_ids(prompt) for name, prompt in prompts(HARMLESS, HARMLESS)}
    assert any(expected.values())
    for text in attacks(vocabulary.control):
        for name, prompt in prompts(f"{HARMLESS} {text} {HARMLESS}", f"is it {text} {HARMLESS}?"):
            assert vocabulary.control_ids(prompt) == expected[name], (name, text)
