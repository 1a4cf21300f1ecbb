"""`python -m edit_grpo.cli`, for launchers that take a module."""

from edit_grpo.cli import main

main()
