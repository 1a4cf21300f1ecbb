"""The edit set in `photos/`: bulk scoring's columns, and what a person sees in each edited picture."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

FOLDER = Path(__file__).resolve().parent / "photos"
LISTING = FOLDER / "edits.jsonl"
GOOD, BAD = "good", "bad"
"""What the column `model` says."""


class ListedEdit(BaseModel):
    """A row: an edited picture. `flaw` and `seen` are for people; bulk scoring passes them over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    model: str
    candidate: int
    category: str
    instruction: str
    source: str
    edited: str
    flaw: str = ""
    seen: str = "as asked"

    @property
    def key(self) -> str:
        """The row's name in results."""
        return f"{self.id}/{self.model}/{self.candidate}"


def listed(listing: Path = LISTING) -> list[ListedEdit]:
    """Every row, those of an instruction together. Raises OSError or pydantic's ValidationError."""
    lines = listing.read_text(encoding="utf-8").splitlines()
    return [ListedEdit.model_validate_json(line) for line in lines]
