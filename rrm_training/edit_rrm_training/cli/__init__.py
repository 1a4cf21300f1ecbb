"""The command line, a module a group of commands. Heavy imports stand inside commands: --help is quick.

It must not know how anything is trained or measured: it reads options and shows what the rooms below return.
"""

from edit_rrm.extras import run_command


def main() -> None:
    """The command `edit-rrm-train`, as it is installed."""
    run_command("edit-rrm-train", "edit_rrm_training.cli.app", "training")
