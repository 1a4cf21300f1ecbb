"""The command line: train, sample, preflight. torch is imported inside commands: --help is quick."""
