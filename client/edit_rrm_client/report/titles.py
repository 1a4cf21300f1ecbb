"""What a report is called when nobody says: by what was scored, which the results do not hold."""

from pathlib import Path

from pydantic import BaseModel, ValidationError

from edit_rrm_client.bulk.errors import InputError


class _NamesItsInput(BaseModel):
    """Of a job's summary what matters here."""

    input_name: str = ""


def default_title(results: Path) -> str:
    """The input's name from the summary that `edit-rrm score` left beside the results, or the results' own.

    Raises InputError for a summary that is none.
    """
    summary = results.with_name(results.name + ".summary.json")
    try:
        found = _NamesItsInput.model_validate_json(summary.read_bytes())
    except FileNotFoundError:
        return results.name
    except ValidationError as error:
        raise InputError(f"{summary}: not the summary of a job; --title names the page without it") from error
    return found.input_name or results.name
