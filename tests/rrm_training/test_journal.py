"""Files of steps survive being killed."""

from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from edit_rrm_training.endpoints.endpoint import Meter
from edit_rrm_training.errors import RowError, StepError
from edit_rrm_training.pipeline.grouped import Grouped
from edit_rrm_training.pipeline.journal import Journal, read_unique
from edit_rrm_training.pipeline.rows import EditRow, FailedRow, GoldRow
from edit_rrm_training.pipeline.running import failed_path, run_step


def edit(name: str) -> EditRow:
    return EditRow(id=name, instruction="make it blue", source=f"{name}.png")


def test_a_torn_last_row_is_cut_off_and_the_rest_is_known(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with Journal(path, EditRow) as journal:
        journal.append(edit("a"))
        journal.append(edit("b"))
    whole = path.read_bytes()
    for torn in range(1, len(whole) // 2):
        path.write_bytes(whole[:-torn])
        with Journal(path, EditRow) as journal:
            assert journal.ids == {"a"}
            journal.append(edit("b"))
        assert path.read_bytes() == whole


def test_a_file_torn_in_its_only_row_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": "a", "instr')
    with Journal(path, EditRow) as journal:
        assert journal.ids == set()
    assert path.read_bytes() == b""


async def nobody(_: EditRow, meter: Meter) -> EditRow:
    raise AssertionError("there is nothing to do")


async def test_failures_are_forgotten_under_the_lock_alone(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    failed = FailedRow(id="a", step="decompose", kind="EndpointError", reason="away")
    with Journal(out, EditRow), Journal(failed_path(out), FailedRow) as failures:
        failures.append(failed)
        with pytest.raises(StepError, match="another process"):
            await run_step("s", [], nobody, out, EditRow, concurrency=1, retry_failed=True)
        failures.append(failed.model_copy(update={"id": "b"}))
    assert [row.id for row in read_unique(failed_path(out), FailedRow)] == ["a", "b"]
    await run_step("s", [], nobody, out, EditRow, concurrency=1, retry_failed=True)
    assert failed_path(out).read_bytes() == b""


@pytest.mark.parametrize(
    ("last", "complaint"),
    [('{"id": "b", "quadr', "row 4, field 'quadruple'"), ('{"id": "b"}\n', "row 4, field 'quadruple'"),
     ('{"id": "b", "quadruple": "q", "x": 1}\n', "row 4, field")],
)  # fmt: skip
def test_a_step_that_reads_a_torn_or_foreign_file_names_its_row(
    tmp_path: Path, last: str, complaint: str
) -> None:
    path = tmp_path / "gold.jsonl"
    row = GoldRow(id="a", quadruple="q", verdicts=(True,), evidence=("it is",), score=9.0, verifier="v")
    path.write_text(f"\n\n{row.model_dump_json()}\n{last}")
    with pytest.raises(RowError, match=complaint), Grouped(path, GoldRow) as rows:
        rows.of("q")


def test_only_one_process_writes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with Journal(path, EditRow), pytest.raises(StepError, match="another process"), Journal(path, EditRow):
        pass


def test_a_file_of_something_else_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "a", "score": 3}\n')
    with pytest.raises(RowError, match="row 1"), Journal(path, EditRow):
        pass
    assert path.read_text() == '{"id": "a", "score": 3}\n'


def test_rows_come_from_parquet_as_from_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "edits.parquet"
    rows = [edit(name) for name in ("a", "b")]
    parquet.write_table(pyarrow.Table.from_pylist([row.model_dump(mode="json") for row in rows]), path)
    assert list(read_unique(path, EditRow)) == rows
    parquet.write_table(pyarrow.Table.from_pylist([{"id": "a", "instruction": "", "source": "a.png"}]), path)
    with pytest.raises(RowError, match=r"edits\.parquet, row 1, field 'instruction'"):
        list(read_unique(path, EditRow))


def test_an_id_may_stand_only_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(edit(name).model_dump_json() + "\n" for name in ("a", "b", "a")))
    with pytest.raises(RowError, match=r"row 3, field 'id'"):
        list(read_unique(path, EditRow))
