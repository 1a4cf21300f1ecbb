"""From a results file to the page: one pass over the rows, then one file, whole or not at all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edit_rrm_client.bulk.durable import partial_of, put_in_place
from edit_rrm_client.bulk.rows import read_results
from edit_rrm_client.report.page import assemble
from edit_rrm_client.report.records import Records
from edit_rrm_client.report.statistics import Statistics
from edit_rrm_client.report.thumbnails import Thumbnail, Thumbnails, ThumbnailSettings

MEBIBYTE = 2**20


@dataclass(frozen=True)
class ReportSettings:
    """What goes into the page beside the statistics, which are always of all rows."""

    title: str
    gallery_rows: int
    thumbnails: ThumbnailSettings


@dataclass(frozen=True)
class Report:
    """What was written."""

    rows: int
    shown: int
    images: int
    page_bytes: int
    notes: tuple[str, ...]


def write_report(
    results: Path,
    page: Path,
    settings: ReportSettings,
    on_row: Callable[[int], None] = lambda rows: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Report:
    """Reads `results` and writes `page`; `on_row` hears how many rows were read.

    Raises InputError for what is no results file, OSError when the page cannot be written.
    """
    statistics, records = Statistics(), Records()
    thumbnails = Thumbnails(settings.thumbnails, results)
    rrms: dict[str, None] = {}
    rows = 0
    for row in read_results(results):
        rows += 1
        statistics.add(row)
        if row.rrm is not None:
            rrms.setdefault(row.rrm)
        if len(records) < settings.gallery_rows:
            source, *more = (thumbnails.add(path, data) for path, data in row.sources)
            edited = thumbnails.add(row.edited, row.edited_image)
            change = thumbnails.change(source, edited) if not more else Thumbnail()
            records.add(row, source, edited, more, change)
        on_row(rows)
    notes = _notes(rows, len(records), list(rrms), thumbnails, settings.thumbnails)
    judge = ", ".join(rrms) or "no reward model answered"
    facts = f"{rows:,} rows of {results.name}, judged by {judge}; made {now():%Y-%m-%d %H:%M} UTC."
    data = records.data(settings.title, facts, notes, statistics.summary())
    # "replace": a file's name may hold what UTF-8 cannot write
    with partial_of(page).open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        file.writelines(assemble(settings.title, data, thumbnails.texts))
    put_in_place(page)
    return Report(
        rows, len(records), len(thumbnails.texts) - thumbnails.overlays, page.stat().st_size, tuple(notes)
    )


def _notes(
    rows: int, shown: int, rrms: list[str], thumbnails: Thumbnails, settings: ThumbnailSettings
) -> list[str]:
    """What a reader must know before believing the page, in whole sentences."""
    notes = []
    if len(rrms) > 1:
        notes.append(f"These rows come from {len(rrms)} reward models; their scores do not compare.")
    if shown < rows:
        notes.append(
            f"Tables and plots are of all {rows:,} rows; "
            f"the gallery shows the first {shown:,} (--gallery-rows)."
        )
    if settings.max_bytes is not None and thumbnails.left_out:
        met = thumbnails.left_out + len(thumbnails.texts) - thumbnails.overlays
        notes.append(
            f"{thumbnails.left_out:,} of {met:,} images were left out: "
            f"thumbnails fill their budget of {settings.max_bytes / MEBIBYTE:.3g} MiB (--max-image-bytes)."
        )
    return notes
