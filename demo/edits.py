"""The demo's sample edits, as `edits.json` lists them."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter


class SampleEdit(BaseModel):
    """One edit: files relative to the list, and what a good verifier should say about it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    instruction: str
    source: Path
    edited: Path
    expect: str


def load_edits(listing: Path) -> list[SampleEdit]:
    """The sample edits with absolute paths. Raises OSError or pydantic's ValidationError."""
    edits = TypeAdapter(list[SampleEdit]).validate_json(listing.read_bytes())
    folder = listing.resolve().parent
    return [
        edit.model_copy(update={"source": folder / edit.source, "edited": folder / edit.edited})
        for edit in edits
    ]
