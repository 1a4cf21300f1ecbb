"""Which columns an input must have, and what is said where it has none of them."""

from collections.abc import Iterable, Mapping, Sequence

from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.records import Records

ASKED = (("instruction",), ("source", "source_image"))
"""What an edit to be made has: one of each."""
SCORED = (*ASKED, ("edited", "edited_image"))
"""What an edit to be scored has."""


def missing_column(name: str, present: Iterable[object]) -> str:
    """What to say when no column has that name."""
    return f"there is no column {name!r} among: {', '.join(sorted(map(str, present))) or 'none'}"


def require_columns(records: Records, wanted: Sequence[Sequence[str]], renamed: Mapping[str, str]) -> None:
    """Raises InputError where no row has one column of each of `wanted`, by the input's own names.

    Where the columns are the rows' and not the file's, rows are read until each was seen; a file without a
    readable row is left to its rows.
    """
    given = records.columns
    rows = (record.columns for record in records.read()) if given is None else [dict.fromkeys(given)]
    missing = list(wanted)
    present: set[str] = set()
    for row in rows:
        missing = [names for names in missing if not {renamed.get(name, name) for name in names} & row.keys()]
        if not missing:
            return
        present |= row.keys()
    if present or given is not None:
        name = missing[0][0]
        hint = "" if name in renamed else f"; if yours has another name: --column {name}=NAME"
        raise InputError(f"{records.file}: {missing_column(name, present)}{hint}")
