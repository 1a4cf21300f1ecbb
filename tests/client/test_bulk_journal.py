"""The journal: what was recorded stays, a torn end is cut off, two jobs never mix."""

from pathlib import Path

import pytest
from bulk_rows import failed_row, scored_row

from edit_rrm_client.bulk.asking import ScoreSettings
from edit_rrm_client.bulk.errors import ResumeRefusedError
from edit_rrm_client.bulk.journal import JobHeader, Journal

HEADER = JobHeader(input_digest="d1", settings=ScoreSettings())
ROWS = [scored_row("e1"), failed_row("e2"), scored_row("e3", 1.0)]


def filled(path: Path) -> bytes:
    with Journal(path, HEADER) as journal:
        journal.append(ROWS[:2])
        journal.append(ROWS[2:])
    return path.read_bytes()


def test_rows_are_found_again_and_the_newest_of_a_key_counts(tmp_path: Path) -> None:
    filled(tmp_path / "j")
    again = scored_row("e2", 0.75)
    with Journal(tmp_path / "j", HEADER) as journal:
        journal.append([again])
    with Journal(tmp_path / "j", HEADER) as journal:
        found = [journal.get(row.key) for row in ROWS]
        assert [journal.read(record) for record in found if record] == [ROWS[0], again, ROWS[2]]
        assert journal.get("e9") is None
        assert (journal.rows, journal.rrm) == (3, "tiny@0123456789ab")


def test_a_journal_cut_at_any_byte_keeps_every_whole_line_and_goes_on(tmp_path: Path) -> None:
    whole = filled(tmp_path / "j")
    for cut in range(len(whole)):
        (tmp_path / "j").write_bytes(whole[:cut])
        complete = max(0, whole[:cut].count(b"\n") - 1)
        with Journal(tmp_path / "j", HEADER) as journal:
            assert [journal.get(row.key) is not None for row in ROWS] == [n < complete for n in range(3)]
            journal.append(ROWS[complete:])
        assert (tmp_path / "j").read_bytes() == whole


def test_a_damaged_line_before_the_last_is_not_passed_over(tmp_path: Path) -> None:
    lines = filled(tmp_path / "j").splitlines(keepends=True)
    (tmp_path / "j").write_bytes(b"".join([lines[0], b"{}\n", *lines[2:]]))
    with pytest.raises(ResumeRefusedError, match=r"line 2: damaged.*--restart"):
        Journal(tmp_path / "j", HEADER)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (JobHeader(input_digest="d2", settings=ScoreSettings()), "input was d1, is d2"),
        (JobHeader(input_digest="d1", settings=ScoreSettings(samples=8)), "samples was not given, is 8"),
        (JobHeader(input_digest="d1", settings=ScoreSettings(guards="off")), "guards was not given, is off"),
    ],
)
def test_another_job_is_refused_and_told_how_to_start_anew(
    tmp_path: Path, header: JobHeader, words: str
) -> None:
    before = filled(tmp_path / "j")
    with pytest.raises(ResumeRefusedError, match=rf"{words}.*--restart"):
        Journal(tmp_path / "j", header)
    assert (tmp_path / "j").read_bytes() == before
    with Journal(tmp_path / "j", header, restart=True) as journal:
        assert journal.rows == 0


def test_two_processes_cannot_write_one_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", HEADER), pytest.raises(ResumeRefusedError, match="another process"):
        Journal(tmp_path / "j", HEADER, restart=True)
    Journal(tmp_path / "j", HEADER).close()


def test_images_stay_out_of_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", HEADER) as journal:
        journal.append([scored_row(source_image=b"x" * 1000, edited_image=b"x" * 1000)])
    assert (tmp_path / "j").stat().st_size < 1500
