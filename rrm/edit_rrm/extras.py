"""A command whose extra is not installed says so in one line, and how to install it.

What an extra brings is imported by the command's own modules, never here: this must run on the base install.
"""

import sys
from importlib import import_module

EXIT_NOT_INSTALLED = 2


def run_command(name: str, module: str, extra: str, hint: str = "") -> None:
    """Runs the Typer application `app` of a module as the command `name`, which needs `extra`.

    A library that is missing, at the start or later, is one line on stderr, which ends with `hint`, and
    SystemExit 2. A missing module of the command's own package, or of this one, is our fault, and raised.
    """
    try:
        import_module(module).app(prog_name=name)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or missing == module.partition(".")[0] or missing == __name__.partition(".")[0]:
            raise
        line = (
            f"{name}: {missing} is not installed; this command needs: pip install 'edit-rrm[{extra}]'{hint}"
        )
        print(line, file=sys.stderr)
        raise SystemExit(EXIT_NOT_INSTALLED) from None
