"""`python -m edit_rrm_shapes.cli`."""

from edit_rrm_shapes.cli.app import app

app()
