"""The paper's table in miniature: every stage from data to table, resumable, on the shapes world."""
