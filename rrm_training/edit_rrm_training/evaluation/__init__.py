"""Measures a checkpoint on held-out edits, by free generation only.

It must not know how a checkpoint was trained, nor who made the edits.
"""
