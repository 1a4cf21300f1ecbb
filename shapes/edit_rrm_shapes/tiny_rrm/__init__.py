"""The tiny RRM: a 4-million-parameter Qwen2.5-VL trained on the shapes world from nothing.

It must not know the oracle, the teachers or GCPO: it learns from the truth of the world.
"""
