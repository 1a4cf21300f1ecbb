"""The process: the command line, uvicorn, the start shown as it goes, the end by a signal.

It puts the other rooms together and must know no rule of theirs.
"""

from edit_rrm.extras import run_command


def main() -> None:
    """The command `edit-rrm-server`, as it is installed."""
    on_a_cpu = " (without a GPU: `make install`, see README.md)"
    run_command("edit-rrm-server", "edit_rrm_server.process.cli", "gpu", on_a_cpu)
