"""Files of steps survive being killed."""

from pathlib import Path

import pytest

from edit_rrm_training.errors import RowError, StepError
from edit_rrm_training.pipeline.journal import Journal, read_unique
from edit_rrm_training.pipeline.rows import EditRow


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


def test_an_id_may_stand_only_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(edit(name).model_dump_json() + "\n" for name in ("a", "b", "a")))
    with pytest.raises(RowError, match=r"row 3, field 'id'"):
        list(read_unique(path, EditRow))
