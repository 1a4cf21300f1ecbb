"""The miniature that tries edit-rrm out: a world of drawn edits whose truth is known, and what is made on it.

It imports the product and registers itself by entry points (pyproject.toml); the product knows nothing of it.
"""
