"""Simulated teachers, verifier, decomposer and editors of the world, as parts of the data pipeline."""
