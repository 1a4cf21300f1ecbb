"""The command line: train, sample, export, preflight. torch is imported inside commands: --help is quick.

It must not know how anything is trained: it reads options, and says how a run ended.
"""

from edit_rrm.extras import run_command


def main() -> None:
    """The command `edit-grpo`, as it is installed."""
    run_command("edit-grpo", "edit_grpo.cli.app", "edit-training")
