"""`python -m edit_rrm_training.cli`, for launchers that take a module."""

from edit_rrm_training.cli.app import app

app()
