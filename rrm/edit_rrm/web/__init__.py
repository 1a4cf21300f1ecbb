"""JavaScript modules that the service's page and the report share. They must know nothing of either."""

from importlib.resources import files


def script(name: str) -> str:
    """The text of a module, such as `compare.js`."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
