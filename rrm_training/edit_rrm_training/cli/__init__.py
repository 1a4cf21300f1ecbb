"""The command line, a module a group of commands. Heavy imports stand inside commands: --help is quick.

It must not know how anything is trained or measured: it reads options and shows what the rooms below return.
"""
