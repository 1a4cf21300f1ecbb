"""Text of strangers, made fit for a prompt: nothing in it is read as control, and it stays their text."""

import re
import unicodedata
from collections.abc import Sequence

# What no untrusted text may hold, in any model family's spelling: <|im_end|> and all <|…|>, also with the
# full-width bars and brackets that some tokenizers use or fold; tags that a family or our own parser knows,
# or that are no plain word (<0x0A>, <start_of_turn>); the words in brackets of Mistral, GLM and BERT.
_CONTROL = re.compile(
    r"[<＜﹤](?=[|｜]|[/／]?score|[/／]?(?P<tag>(?:[a-z_]|0x)[^\s<>＞﹥]{0,80})[>＞﹥])"
    r"|\[(?=/?(?-i:INST|IMG\w*|THINK|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_\w+|[gs]?MASK|CLS|SEP|PAD|UNK|BOS|EOS)\])"
    r"|◁(?=/?think▷)",
    re.IGNORECASE,
)
_TAG_NAMES = """
answer assistant audio begin bos box call channel cls code developer end eom eos eot endoftext fim
file function grounding human im image images img inst instruction mask message model obj object pad
patch point points poly principle principles quad reasoning ref region repo return s score scores
sep speech start sys system think thinking thought tool tools unk user video vision
"""
_TAGS = frozenset(_TAG_NAMES.split())
_JOINERS = frozenset("\u200c\u200d")
_JOINED = ("L", "M", "So", "Sk")
_FULL_WIDTH = range(0xFF00, 0xFFF0)
# Unassigned in every version of Unicode to come, or never shown.
_NEVER_SHOWN = (range(0xFDD0, 0xFDF0), range(0xFFF0, 0xFFF9), range(0xE0000, 0xE1000))
# Letters and symbols by their category that nobody sees.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def neutralise(text: str, control_tokens: Sequence[str] = ()) -> str:
    """Untrusted text in which nothing can be read as control: a space breaks each such token or tag.

    White space and invisible characters become single spaces, so that a question cannot add a line of its own
    to the prompt, except joiners within a word or an emoji. Other text ("a < b", "<3", "<STOP>", quotes)
    stays as it is, emoji that this Python does not know yet too. `control_tokens` adds the special tokens of
    the model at hand; those with a space in them stay.
    """
    text = " ".join("".join(_shown(text)).split())
    text = _CONTROL.sub(_broken, text)
    for token in control_tokens:
        while len(token) > 1 and " " not in token and token in text:  # breaking one may complete another
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def visible(text: str) -> str:
    """The text. Raises ValueError where nothing of it can be seen: the model would be asked about nothing."""
    if not any(_is_unknown(c) or (unicodedata.category(c)[0] not in "ZCM" and c not in _BLANK) for c in text):
        raise ValueError("holds nothing that can be seen")
    return text


def _broken(match: re.Match[str]) -> str:
    tag = match["tag"]
    plain = tag is not None and tag.isascii() and tag.isalpha() and tag.casefold() not in _TAGS
    return match[0] if plain else match[0] + " "


def _shown(text: str) -> list[str]:
    shown = []
    for place, character in enumerate(text):
        joins = (
            character in _JOINERS
            and 0 < place < len(text) - 1
            and _is_joined(text[place - 1])
            and _is_joined(text[place + 1])
        )
        kept = joins or character.isprintable() or _is_unknown(character)
        shown.append(character if kept else " ")
    return shown


def _is_joined(character: str) -> bool:
    """Whether a joiner beside it may be part of how a word or an emoji is written."""
    return (
        not character.isascii()
        and ord(character) not in _FULL_WIDTH
        and (unicodedata.category(character).startswith(_JOINED) or _is_unknown(character))
    )


def _is_unknown(character: str) -> bool:
    """Whether a newer Unicode may have assigned it: emoji come every year."""
    number = ord(character)
    return (
        unicodedata.category(character) == "Cn"
        and number & 0xFFFE != 0xFFFE
        and not any(number in never for never in _NEVER_SHOWN)
    )
