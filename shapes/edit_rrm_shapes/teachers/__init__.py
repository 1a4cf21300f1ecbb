"""Simulated teachers, verifier, decomposer and editors of the world, as parts of the data pipeline.

They must not know the oracle, nor who learns from them.
"""
