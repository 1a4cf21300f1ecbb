"""Stage 1: from (source, instruction) to SFT rows, one module a step, each a resumable command over JSONL.

It must not know the trainers: what it leaves them is rows. Teachers are endpoints, whatever serves them.
"""
