"""What is deployed is tested where it lies; real processes are those of tests/e2e."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(ROOT / folder)
    for folder in ("deploy/grafana", "deploy/ray", "tests/e2e", "tests/server", "tests/client")
]
