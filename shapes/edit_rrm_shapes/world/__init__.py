"""The shapes world: procedural image edits whose truth is known (docs/shapes.md)."""
