"""The shapes world: procedural image edits whose truth is known (docs/shapes.md).

It must not know who judges, edits or trains on it, nor the oracle.
"""
