"""`edit-rrm-shapes`, a module a group of commands. Heavy libraries are imported inside commands.

It must not know how anything is made: it reads options and shows what the rooms below return.
"""

PROGRAM = "edit-rrm-shapes"
