"""`edit-rrm-shapes`, a module a group of commands. Heavy libraries are imported inside commands."""
