"""What the commands of every package have in common: `-h`, `--version`, and an error as one line on stderr.

It must not know any of them, and is imported by command lines only.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from edit_rrm.help_text import with_fences

EXIT_BAD_INPUT = 2
_OLD_SPELLINGS = {"--output": "--out", "--server": "--url"}
"""What options were called before; taken as ever, and shown nowhere."""


class Program(TyperGroup):
    """A group whose errors of usage are told as all other errors are: `program command: what is wrong`.

    The examples of its commands' help stand in fences.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        _fence(self)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the program; ends the process unless `standalone_mode` is false."""
        args = [_spelled(word) for word in (sys.argv[1:] if args is None else args)]
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        try:
            status = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except typer.Abort:
            raise SystemExit(1) from None
        except Exception as error:
            # Typer has changed where it keeps Click's errors; what has a message for people is one of them.
            if not hasattr(error, "format_message"):
                raise
            _tell(error)
            raise SystemExit(EXIT_BAD_INPUT) from None
        raise SystemExit(status if isinstance(status, int) else 0)


def program(name: str, text: str, distribution: str = "edit-rrm") -> typer.Typer:
    """The application of one command; `text` is its help in Markdown, `distribution` has its version."""
    app = typer.Typer(
        name=name,
        cls=Program,
        help=text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def say_version(wanted: bool) -> None:
        if wanted:
            typer.echo(f"{name} {version(distribution)}")
            raise typer.Exit

    option = typer.Option("--version", callback=say_version, is_eager=True, help="Print the version and end.")

    @app.callback()
    def main(version: Annotated[bool, option] = False) -> None:
        pass

    return app


def _fence(command: Any) -> None:
    command.help = with_fences(command.help or "")
    for below in getattr(command, "commands", {}).values():
        _fence(below)


def _spelled(word: str) -> str:
    option, equals, value = word.partition("=")
    return _OLD_SPELLINGS.get(option, option) + equals + value


def _tell(error: Any) -> None:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    path = "" if context is None else context.command_path
    text = error.format_message().removeprefix("Invalid value for ").removeprefix("Invalid value: ")
    typer.echo(f"{path}: {text}".removeprefix(": "), err=True)
