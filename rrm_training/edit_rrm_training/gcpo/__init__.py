"""GCPO (docs/paper.md, Stage 2): the trainer, `credit` (what a trace earns), `update` (what is read once).

It must not know who made the pairs, nor SFT: it starts from any checkpoint.
"""
