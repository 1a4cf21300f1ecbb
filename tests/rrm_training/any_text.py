"""Profiles for models that write noise: nearly every text has a score, so that rollouts teach something."""

from collections.abc import Sequence

from edit_rrm.errors import TraceError
from edit_rrm.judges import TrainedProfile
from edit_rrm.principles import Principle
from edit_rrm.traces import Trace


class AnyText(TrainedProfile):
    """Φ of a world in which every text has a score, its count of letters modulo 11, but for a fifth."""

    def parse_trace(
        self, text: str, principles: Sequence[Principle], *, opened: bool | None = None, whole: bool = False
    ) -> Trace:
        if len(text) % 5 == 0:
            raise TraceError("a length divisible by five", text)
        return Trace((), float(sum(map(str.isalpha, text)) % 11), text)


class AnyCharacters(TrainedProfile):
    """Φ of a world in which every text has a score, of all its characters: models may write few letters."""

    def parse_trace(
        self, text: str, principles: Sequence[Principle], *, opened: bool | None = None, whole: bool = False
    ) -> Trace:
        return Trace((), float(sum(map(ord, text)) % 11), text)
