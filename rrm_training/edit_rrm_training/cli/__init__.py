"""The command line, a module a group of commands. Heavy imports stand inside commands: --help is quick."""
