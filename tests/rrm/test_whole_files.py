"""A file is there whole or not at all."""

from pathlib import Path

import pytest

from edit_rrm.whole_files import write_whole


@pytest.mark.parametrize(("content", "there"), [("ρ 0.8\n", "ρ 0.8\n".encode()), (b"\x00\n", b"\x00\n")])
def test_what_is_written_is_there_and_nothing_beside_it(
    tmp_path: Path, content: str | bytes, there: bytes
) -> None:
    path = tmp_path / "new" / "file.json"
    write_whole(path, "longer than what replaces it")
    write_whole(path, content)
    assert path.read_bytes() == there
    assert list(path.parent.iterdir()) == [path]


def test_what_is_cut_short_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")

    def killed(self: Path, content: bytes) -> int:
        self.open("wb").close()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new")
    assert path.read_text() == "old"
