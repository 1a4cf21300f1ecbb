"""A judge as data: how a checkpoint is asked and how its answer becomes numbers. The form of a judge file.

Checked here as far as a file can be: every slot, range, subscore and expression. `written.py` asks by it.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.errors import JudgeError, SettingsFileError
from edit_rrm.judges.forms.answers import AnswerForm, TraceForm, YesNo
from edit_rrm.judges.forms.expressions import Expression
from edit_rrm.principles import Category
from edit_rrm.setting_problems import problems
from edit_rrm.settings_files import read_settings_file
from edit_rrm.wire import Sampling

FILE_STEM = "judge"
SUFFIXES = (".toml", ".yaml", ".yml", ".json")
MAX_SCORE = 10.0
MAX_ASKS = 8
VERSION_HEX_CHARS = 6

# `{instruction}`; `{{word}}` is the text "{word}" itself. Braces around anything else (JSON) are text.
SLOT = re.compile(r"\{\{([a-z_]+)\}\}|\{([a-z_]+)\}")
_OF_A_PRINCIPLE = frozenset({"number", "question", "category"})
_SLOTS = frozenset({"instruction", "principles", "count"}) | _OF_A_PRINCIPLE


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImagePart(_Part):
    """Where images stand: the source, all sources, or the candidate."""

    image: Literal["source", "sources", "candidate"]
    label: str = Field(default="", description="text before each of several sources; {number} counts from 1")


class SpokenMessage(_Part):
    """A chat message. A last one of the assistant is the beginning of the answer."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | ImagePart, ...] = Field(min_length=1)

    def texts(self) -> Iterator[str]:
        """Its texts, without images."""
        return (part for part in self.parts if isinstance(part, str))


class AskSpec(_Part):
    """One question to the model about one candidate, or (`each`) about each principle of it."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")
    each: Literal["principle"] | None = Field(default=None, description="asked once for every principle")
    messages: tuple[SpokenMessage, ...] = Field(min_length=1)
    answer: AnswerForm
    sampling: Sampling = Sampling()

    @property
    def slots(self) -> frozenset[str]:
        """The text slots of its messages."""
        texts = [text for message in self.messages for text in message.texts()]
        return frozenset(match[2] for text in texts for match in SLOT.finditer(text) if match[2])

    @property
    def images(self) -> tuple[str, ...]:
        """Its images in order: source, sources, candidate."""
        return tuple(p.image for m in self.messages for p in m.parts if isinstance(p, ImagePart))

    @model_validator(mode="after")
    def _check(self) -> Self:
        unknown = sorted(self.slots - _SLOTS)
        if unknown:
            raise ValueError(
                f"there is no slot {{{unknown[0]}}}; there are {', '.join(sorted(_SLOTS))} "
                f"(write {{{{{unknown[0]}}}}} for the text itself)"
            )
        if self.images.count("candidate") != 1:
            raise ValueError("an ask shows the candidate exactly once")
        if self.each is None and self.slots & _OF_A_PRINCIPLE:
            raise ValueError(f'{{{min(self.slots & _OF_A_PRINCIPLE)}}} needs each = "principle"')
        if self.each is not None and not isinstance(self.answer, YesNo):
            raise ValueError('each = "principle" needs the answer form yes_no: one verdict a question')
        if self.each is not None and not self.slots & {"question", "number"}:
            raise ValueError('each = "principle" needs {question} or {number} in a message')
        if isinstance(self.answer, TraceForm) and "principles" not in self.slots:
            raise ValueError(
                "the answer form trace needs {principles} in a message: it judges them one by one"
            )
        roles = [message.role for message in self.messages]
        if "user" not in roles or "system" in roles[1:] or "assistant" in roles[:-1]:
            raise ValueError(
                "messages are: perhaps a system message, user messages, perhaps the answer's beginning"
            )
        if any(isinstance(part, ImagePart) for m in self.messages if m.role != "user" for part in m.parts):
            raise ValueError("images stand in messages of the user")
        return self


class SubscoreSpec(_Part):
    """What a subscore is about."""

    category: Category | None = None
    about: str = ""


class ThinkingSpec(_Part):
    """How a family is told to think before it answers, or not to."""

    argument: str = Field(default="enable_thinking", description="of its chat template, true or false")
    enabled: bool = Field(default=False, description="whether it thinks unless a request says otherwise")
    budget_tokens: int = Field(
        default=2048, ge=1, le=16384, description="tokens for a thought, besides those of the answer"
    )


class ChatSpec(_Part):
    """How messages become the model's text."""

    template: str | None = Field(
        default=None, min_length=1, description="a chat template (Jinja) instead of the checkpoint's own"
    )
    template_arguments: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="of the chat template"
    )
    thinking: ThinkingSpec | None = Field(default=None, description="of models that think before they answer")


class PictureSpec(_Part):
    """What images are brought to before they are shown."""

    max_side: int | None = Field(default=None, ge=28, description="longest side in pixels")
    pixel_budget: int | None = Field(default=None, ge=784, description="most pixels of an image")
    candidate: Literal["own_size", "source_size"] = Field(
        default="own_size",
        description="source_size: the candidate is scaled to the source's width and height, after the guards",
    )


class JudgeSpec(_Part):
    """The content of a judge file."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    about: str = Field(
        default="", description="what it is, where it comes from, what its scores are good for"
    )
    asks: tuple[AskSpec, ...] = Field(min_length=1, max_length=MAX_ASKS)
    subscores: dict[str, SubscoreSpec] = Field(default_factory=dict)
    reward: str | None = Field(default=None, description="an expression over subscores, 0 to 1")
    score: str | None = Field(
        default=None, description="one for the score, 0 to 10; absent: ten times the reward"
    )
    aggregator: AggregatorName | None = Field(default=None, description="of a judge of principles")
    decomposition: Literal["trained", "zero_shot"] = Field(
        default="zero_shot", description="how the principles are asked for, where it needs them"
    )
    chat: ChatSpec = ChatSpec()
    pictures: PictureSpec = PictureSpec()
    sampling: Sampling = Sampling()
    passes: int = Field(default=1, ge=1, le=32, description="samples where a request does not say")

    @property
    def gives_verdicts(self) -> bool:
        """Whether it judges principles, each by a verdict."""
        return any(ask.each is not None or ask.answer.gives_verdicts for ask in self.asks)

    @property
    def needs_principles(self) -> bool:
        """Whether it must be told principles."""
        return self.gives_verdicts or any(ask.slots & {"principles", "count"} for ask in self.asks)

    @property
    def only_tokens(self) -> bool:
        """Whether an answer is one token, so that nothing may stand before it."""
        return any(ask.answer.max_tokens == 1 for ask in self.asks)

    @property
    def takes_several_sources(self) -> bool:
        """Whether every ask that shows a source shows all of them."""
        return all("source" not in ask.images for ask in self.asks)

    @property
    def version(self) -> str:
        """Of its content: another one gives other scores."""
        content = self.model_dump(mode="json", exclude={"about"}, exclude_defaults=True)
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:VERSION_HEX_CHARS]

    def expressions(self) -> tuple[Expression | None, Expression | None]:
        """Reward and score, checked. Raises JudgeError."""
        names = [name for ask in self.asks for name in ask.answer.subscore_names]
        optional = [name for ask in self.asks for name in ask.answer.optional_names]
        return (
            None if self.reward is None else Expression(self.reward, names, optional),
            None if self.score is None else Expression(self.score, names, optional, highest=MAX_SCORE),
        )

    @property
    def read_names(self) -> frozenset[str]:
        """The subscores that reward and score read."""
        return frozenset(name for made in self.expressions() if made is not None for name in made.names)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.chat.thinking is not None and self.chat.thinking.enabled and self.only_tokens:
            raise ValueError("an answer of one token leaves no room for thinking first")
        names = [ask.name for ask in self.asks]
        if len(set(names)) < len(names):
            raise ValueError(f"two asks are called {max(names, key=names.count)!r}")
        given = [name for ask in self.asks if ask.each is None for name in ask.answer.subscore_names]
        if len(set(given)) < len(given):
            raise ValueError(f"two answers give the subscore {max(given, key=given.count)!r}")
        unknown = sorted(set(self.subscores) - set(given))
        if unknown:
            raise ValueError(
                f"no answer gives the subscore {unknown[0]!r}; they give {', '.join(given) or 'none'}"
            )
        if self.gives_verdicts:
            if len(self.asks) > 1 or self.reward or self.score:
                raise ValueError("a judge of principles has one ask, and an aggregator instead of a reward")
            if self.aggregator == "model_score" and self.asks[0].each is not None:
                raise ValueError("model_score needs a score of the model's own, which yes_no does not give")
        elif self.aggregator is not None:
            raise ValueError("an aggregator is for judges of principles; this one has a reward")
        elif self.reward is None:
            raise ValueError(f"reward is missing: an expression over {', '.join(given)}")
        try:
            self.expressions()
        except JudgeError as error:
            raise ValueError(str(error)) from error
        return self


def read_judge_file(file: Path) -> JudgeSpec:
    """The judge in a TOML, YAML or JSON file. Raises JudgeError, naming every field that is wrong."""
    try:
        content: Any = read_settings_file(file)
    except SettingsFileError as error:
        raise JudgeError(str(error)) from error
    return judge_spec(content, str(file))


def judge_spec(content: Any, origin: str) -> JudgeSpec:
    """A judge from a file's content. Raises JudgeError naming `origin`."""
    try:
        return JudgeSpec.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(problems(error, JudgeSpec, "field"))
        raise JudgeError(f"{origin} is no judge: {wrong}") from error


def judge_file_beside(checkpoint: Path) -> Path | None:
    """`judge.toml` (or .yaml, .yml, .json) in a checkpoint's directory. Raises JudgeError for two of them."""
    found = [file for suffix in SUFFIXES if (file := checkpoint / f"{FILE_STEM}{suffix}").is_file()]
    if len(found) > 1:
        raise JudgeError(f"{checkpoint} holds {len(found)} judge files: {', '.join(f.name for f in found)}")
    return found[0] if found else None
