"""Tables of text as they come out of Excel and other people's scripts: which encoding, which separator."""

import codecs
import csv
from pathlib import Path

from edit_rrm_client.bulk.errors import InputError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATORS = ",;\t"
_FEW = 0.01
"""Share of lines in another encoding that is a slip, whose rows fail alone; more is a file in it."""
_SAYS_SEPARATOR = "sep="


def encoding_of(file: Path, wanted: str | None) -> str:
    """The encoding of a text file: `wanted`, or what its first bytes say, or UTF-8.

    Raises InputError for a name that is none, and for a file that is not UTF-8 and says no other.
    """
    if wanted is not None:
        try:
            return codecs.lookup(wanted).name
        except LookupError as error:
            raise InputError(f"--encoding: there is no encoding {wanted!r}") from error
    with file.open("rb") as lines:
        head = lines.read(4)
        for mark, name in _BOMS:
            if head.startswith(mark):
                return name
        lines.seek(0)
        total, wrong, first = 0, 0, ""
        for total, line in enumerate(lines, start=1):  # how many there were
            try:
                line.decode()
            except UnicodeDecodeError as error:
                wrong += 1
                first = first or f"line {total}, byte 0x{line[error.start]:02x}"
    if wrong > max(1.0, _FEW * total):
        raise InputError(
            f"{file}: is not UTF-8 ({first}); name its encoding with --encoding, such as gb18030, cp1252 or "
            "shift_jis, or save it as UTF-8"
        )
    return "utf-8"


def separator_of(first_line: str) -> str:
    """Comma, semicolon or tab: what parts the header into most names, a comma where it parts none."""
    said = first_line.strip().strip('"')
    if said.lower().startswith(_SAYS_SEPARATOR) and len(said) == len(_SAYS_SEPARATOR) + 1:
        return said[-1]
    return max(_SEPARATORS, key=lambda each: len(next(csv.reader([first_line], delimiter=each), [])))


def says_separator(first_line: str) -> bool:
    """Whether it is Excel's line that names the separator, before the header."""
    return first_line.strip().strip('"').lower().startswith(_SAYS_SEPARATOR)
