"""The scripts' folder, for what they share, and the service around a scripted engine."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS.parent / "benchmarks"))
sys.path.insert(1, str(TESTS / "server"))
