"""Stage 1: from (source, instruction) to SFT rows, one module a step, each a resumable command over JSONL."""
