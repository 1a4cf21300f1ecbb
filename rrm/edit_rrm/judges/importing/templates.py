"""Others' placeholders made slots of a judge file: `<instruction>`, `{prompt}`, an f-string's hole."""

import re
import string
from collections.abc import Mapping, Sequence

from edit_rrm.errors import JudgeError
from edit_rrm.judges.importing.python_texts import Hole, Pieces

INSTRUCTION = "{instruction}"
_LIKE_A_SLOT = re.compile(r"\{([a-z_]+)\}")


def literal(text: str) -> str:
    """A text in which a judge file finds no slot: "{word}" is written "{{word}}"."""
    return _LIKE_A_SLOT.sub(r"{{\1}}", text)


def marked(text: str, values: Mapping[str, str], origin: str) -> str:
    """A text whose marks, such as `<instruction>`, are replaced by what stands for them in a judge file.

    Raises JudgeError for a mark that the text does not have.
    """
    for mark in values:
        if mark not in text:
            raise JudgeError(f"{origin} has no {mark}, where the instruction was expected")
    if not values:
        return literal(text)
    pieces = re.split("(" + "|".join(re.escape(mark) for mark in values) + ")", text)
    return "".join(values.get(piece, literal(piece)) for piece in pieces)


def formatted(text: str, values: Mapping[str, str], origin: str) -> str:
    """A template of `str.format`, with its fields replaced. Raises JudgeError for another field, or none."""
    made, met = [], set()
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise JudgeError(f"{origin} is no template: {error}") from error
    for before, field, spec, conversion in parts:
        made.append(literal(before))
        if field is None:
            continue
        if field not in values or spec or conversion:
            raise JudgeError(f"{origin} has a field {{{field}}}; known are {', '.join(sorted(values))}")
        made.append(values[field])
        met.add(field)
    missing = sorted(set(values) - met)
    if missing:
        raise JudgeError(f"{origin} has no field {{{missing[0]}}}")
    return "".join(made)


def filled(pieces: Pieces, values: Mapping[str, str], origin: str) -> str:
    """A text in pieces with its holes filled. Raises JudgeError for another hole, or one that is missing."""
    holes = {piece.variable for piece in pieces if isinstance(piece, Hole)}
    if holes != set(values):
        given, wanted = (", ".join(sorted(names)) or "nothing" for names in (holes, values))
        raise JudgeError(f"{origin} fills in {given}, where {wanted} was expected")
    return "".join(values[piece.variable] if isinstance(piece, Hole) else literal(piece) for piece in pieces)


def around_images(text: str, mark: str, images: Sequence[str], origin: str) -> list[object]:
    """The parts of a message: `text` with an image at each `mark`. Raises JudgeError for another count."""
    texts = text.split(mark)
    if len(texts) != len(images) + 1:
        raise JudgeError(f"{origin} has {len(texts) - 1} times {mark}, where {len(images)} were expected")
    parts: list[object] = [texts[0]]
    for image, after in zip(images, texts[1:], strict=True):
        parts += [{"image": image}, after]
    return [part for part in parts if part != ""]
