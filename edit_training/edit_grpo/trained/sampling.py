"""Edits carried out into a folder: what is there is not made again; what fails is listed and ends nothing."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TextIO

from PIL import Image

from edit_grpo.data.asked import SHEET, AskedEdit
from edit_grpo.errors import EditTrainingError
from edit_grpo.policies.policy import EditPolicy, check_source_count
from edit_grpo.trained.drawing import Wanted, draw
from edit_grpo.trained.folder import SampleJob
from edit_rrm.images import EditImage, encode_png
from edit_rrm.sheets import SheetRow, contact_sheet
from edit_rrm.whole_files import write_whole
from edit_rrm_client.bulk.rows import SOURCE_COLUMNS

_TOLD = 3


@dataclass
class SampleReport:
    """What a run did with its part of the edits."""

    made: int = 0
    there_before: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)
    """Of the first failures."""


def count_missing(job: SampleJob) -> int:
    """How many pictures this part still lacks, those that will fail included."""
    return sum(len(job.missing(edit)) for edit in job.asked(sources=False))


def sample_edits(
    job: SampleJob, load: Callable[[], EditPolicy], on_done: Callable[[], None] = lambda: None
) -> SampleReport:
    """Makes what is missing, then writes the edits file and the contact sheet of this part.

    `load` gives the editor, and is not called where nothing is missing. Raises SamplingError, and what is no
    edit's own fault; pictures made before that stay.
    """
    report, policy = SampleReport(), cache(load)
    with job.failures_file.open("w", encoding="utf-8") as failures:

        def fail(edit: AskedEdit, numbers: Sequence[int], error: EditTrainingError) -> None:
            for number in numbers:
                line = {"file": str(edit.file), "row": edit.row, "id": edit.id, "number": number}
                line |= {"kind": type(error).__name__, "detail": str(error)}
                failures.write(json.dumps(line, ensure_ascii=False) + "\n")
                on_done()
            failures.flush()
            report.failed += len(numbers)
            if len(report.reasons) < _TOLD:
                report.reasons.append(f"edit {edit.id}: {error}")

        def wanted() -> Iterator[Wanted]:
            for edit in job.asked(sources=count_missing(job) > 0):
                numbers = job.missing(edit)
                report.there_before += job.per_edit - len(numbers)
                if not numbers:
                    continue
                try:
                    sources = _prepared(job, policy, edit)
                except EditTrainingError as error:
                    fail(edit, numbers, error)
                    continue
                for number in numbers:
                    yield Wanted(edit, number, sources)

        for one, drawn in draw(policy, wanted(), job.drawing):
            if isinstance(drawn, Image.Image):
                write_whole(job.place(one.edit, one.number), encode_png(drawn))
                report.made += 1
                on_done()
            else:
                fail(one.edit, [one.number], drawn)
    if not report.failed:
        job.failures_file.unlink()
    _write_edits(job)
    _write_sheet(job)
    return report


def _prepared(job: SampleJob, policy: Callable[[], EditPolicy], edit: AskedEdit) -> tuple[Image.Image, ...]:
    """The sources as the editor sees them; kept beside the pictures where the edits file is to show that."""
    pictures = edit.pictures()
    check_source_count(policy().max_sources, len(pictures))
    sources = tuple(policy().prepare(picture) for picture in pictures)
    if edit.shown_copy is not None and edit.shown[0] is not None:
        write_whole(job.out / edit.shown[0], edit.shown_copy)
        return sources
    for number, (picture, source, shown) in enumerate(zip(pictures, sources, edit.shown, strict=True)):
        if shown is None or (source.size != picture.size and not edit.as_published):
            write_whole(job.kept_source(edit, number), encode_png(source))
    return sources


def _sources_shown(job: SampleJob, edit: AskedEdit) -> dict[str, str | None]:
    """The edits file's columns of the sources."""
    kept = [job.kept_source(edit, number) for number in range(len(edit.shown))]
    return {
        column: str(file.relative_to(job.out)) if file.is_file() else shown
        for column, file, shown in zip(SOURCE_COLUMNS, kept, edit.shown, strict=False)
    }


def _write_edits(job: SampleJob) -> None:
    """Every picture of this part that is there, as `edit-rrm score` reads it.

    A benchmark that has a judge for each kind of edit gets a file for each, too: edits.KIND.jsonl.
    """
    with ExitStack() as files:
        lines_of: dict[Path, TextIO] = {}

        def add(place: Path, line: str) -> None:
            if place not in lines_of:
                partial = place.with_name(f"{place.name}.partial")
                lines_of[place] = files.enter_context(partial.open("w", encoding="utf-8"))
            lines_of[place].write(line)

        add(job.edits_file, "")
        for edit in job.asked(sources=False):
            if edit.problem is not None:
                continue
            sources = _sources_shown(job, edit)
            for number in range(job.per_edit):
                place = job.place(edit, number)
                if place.is_file():
                    line = {
                        "id": edit.id, "candidate": number, "model": job.model, "category": edit.category,
                        "instruction": edit.instruction, **sources,
                        "edited": str(place.relative_to(job.out)), **edit.columns,
                    }  # fmt: skip
                    text = json.dumps(line, ensure_ascii=False) + "\n"
                    add(job.edits_file, text)
                    if edit.judged_by_kind:
                        add(job.edits_file_of(edit.category), text)
    for place in lines_of:
        os.replace(place.with_name(f"{place.name}.partial"), place)


def _write_sheet(job: SampleJob) -> None:
    """The first edits of this part for people to look at: source and pictures in a row."""
    rows: list[tuple[str, list[Image.Image], str]] = []
    with job.edits_file.open(encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            edited = _shown(job.out / line["edited"])
            if rows and line["candidate"] and rows[-1][0] == line["id"]:
                rows[-1][1].append(edited)
            elif len(rows) == job.sheet_edits:
                break
            else:
                shown = [_shown(job.out / line[column]) for column in SOURCE_COLUMNS if column in line]
                rows.append((line["id"], [*shown, edited], line["instruction"]))
    if rows:
        sheet = contact_sheet([SheetRow(caption, tuple(pictures)) for _, pictures, caption in rows])
        write_whole(job.shard.file(job.out / f"{SHEET}.png"), encode_png(sheet))


def _shown(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        return EditImage.from_pil(opened).image
