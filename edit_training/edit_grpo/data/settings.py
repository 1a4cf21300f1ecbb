"""Settings of the edits that are asked for."""

from pathlib import Path

from pydantic import Field, PositiveInt

from edit_rrm.nested_settings import Section


class DataSettings(Section):
    """The edits that are asked for. Targets are not needed: the reward model judges the results."""

    edits: tuple[Path, ...] = Field(
        min_length=1, description="JSONL files of edits (id, source or sources, instruction, category)"
    )
    held_out: Path | PositiveInt | None = Field(
        default=None,
        description="the same, for grids; or how many of `edits`, the last ones, are kept apart for them. "
        "Never trained on",
    )
    cache_mib: int = Field(
        default=2048,
        ge=0,
        description="memory of a process for edits that were encoded, in MiB: one that is asked for again "
        "needs no encoder. An edit takes some 4 MiB with FLUX.1-Kontext",
    )
