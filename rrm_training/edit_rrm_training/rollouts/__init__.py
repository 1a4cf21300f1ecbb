"""Texts from a checkpoint: greedy ones by transformers, many by vLLM inside a training or offline.

It must know no reward and no loss.
"""
