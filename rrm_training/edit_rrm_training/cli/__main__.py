"""`python -m edit_rrm_training.cli`, for launchers that take a module."""

from edit_rrm_training.cli import main

main()
