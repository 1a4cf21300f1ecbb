"""What somebody probably meant: the known name nearest to the one that was given."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name most like `word`, or None where none is like it; case does not matter."""
    names = {name.lower(): name for name in sorted(known, reverse=True)}
    found = get_close_matches(word.lower(), names, n=1)
    return names[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: a question, or nothing where no name is near."""
    name = nearest(word, known)
    return "" if name is None else f"; did you mean {name}?"
