"""The command line: train, sample, export, preflight. torch is imported inside commands: --help is quick.

It must not know how anything is trained: it reads options, and says how a run ended.
"""
