"""Where results cannot be written is said before the work."""

from pathlib import Path

import pytest

from edit_rrm.errors import OutputError
from edit_rrm.outputs import check_output_file, check_output_folder


def test_what_can_be_written_passes_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text("{}")
    for fine in (tmp_path / "there.json", Path("/dev/null"), tmp_path / "a" / "b" / "new.json"):
        check_output_file(fine)
    check_output_folder(tmp_path)
    check_output_folder(tmp_path / "a" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["there.json"]


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(OutputError, match="it is a folder"):
        check_output_file(tmp_path)
    for check in (check_output_file, check_output_folder):
        with pytest.raises(OutputError, match=f"{file} is a file, not a folder"):
            check(file / "below" / "out")
        with pytest.raises(OutputError, match="nothing can be written in /proc"):
            check(Path("/proc/out/x"))
        with pytest.raises(OutputError, match="NUL"):
            check(tmp_path / "a\0b")
    with pytest.raises(OutputError, match="is a file, not a folder"):
        check_output_folder(file)
