"""What each guard may do to a reward."""

from collections.abc import Mapping
from typing import Literal, get_args

GuardName = Literal["no_edit", "blank", "border", "size"]
GuardMode = Literal["enforce", "report", "off"]
GuardModes = Mapping[GuardName, GuardMode]
GUARD_NAMES: tuple[GuardName, ...] = get_args(GuardName)
_NAMES: Mapping[str, GuardName] = {name: name for name in GUARD_NAMES}
_MODES: Mapping[str, GuardMode] = {mode: mode for mode in get_args(GuardMode)}
ALL_ENFORCED: GuardModes = dict.fromkeys(GUARD_NAMES, "enforce")


def guard_modes(*layers: GuardMode | GuardModes | None) -> dict[GuardName, GuardMode]:
    """A mode for every guard: of each layer a word for all, or words for some; the later go before."""
    modes = dict(ALL_ENFORCED)
    for layer in layers:
        if isinstance(layer, str):
            modes = dict.fromkeys(GUARD_NAMES, layer)
        elif layer is not None:
            modes |= layer
    return modes


def read_guards(text: str | None) -> GuardMode | dict[GuardName, GuardMode] | None:
    """A word for all, or `name=word,…`; nothing stays None. Raises ValueError."""
    if not text:
        return None
    if text in _MODES:
        return _MODES[text]
    modes: dict[GuardName, GuardMode] = {}
    for part in text.split(","):
        name, _, word = (piece.strip() for piece in part.partition("="))
        if name not in _NAMES or word not in _MODES:
            raise ValueError(
                f"expected {', '.join(_MODES)}, or some of {', '.join(_NAMES)} as in size=report; "
                f"got {part.strip()[:40]!r}"
            )
        modes[_NAMES[name]] = _MODES[word]
    return modes
