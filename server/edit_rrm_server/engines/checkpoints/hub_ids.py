"""`HubId`: a model of the Hugging Face hub as people write it, `org/name` or `org/name@revision`. Pure."""

import re
from dataclasses import dataclass

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_ID = re.compile(rf"(?P<repo>{_PART}/{_PART})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]{{0,254}}))?")


@dataclass(frozen=True)
class HubId:
    """A repository and one of its branches, tags or commits."""

    repo: str
    revision: str = "main"

    def __str__(self) -> str:
        return self.repo if self.revision == "main" else f"{self.repo}@{self.revision}"


def hub_id(text: str) -> HubId | None:
    """The id that a text has the form of, or None."""
    found = _ID.fullmatch(text)
    return None if found is None else HubId(found["repo"], found["revision"] or "main")
