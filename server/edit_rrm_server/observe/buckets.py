"""Buckets that several histograms have in common."""

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
TENTHS = tuple(i / 10 for i in range(11))
