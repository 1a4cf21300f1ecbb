"""The paper's table in miniature: every stage from data to table, resumable, on the shapes world.

It must not know the oracle: its judge is the simulated annotator.
"""
