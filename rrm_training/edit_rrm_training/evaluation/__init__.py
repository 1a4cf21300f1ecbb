"""Measures a checkpoint on held-out edits, by free generation only."""
