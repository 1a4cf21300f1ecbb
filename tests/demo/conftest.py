"""The demo's modules are scripts beside each other, not a package: put their folder on the path.

`served_mock` lies beside the client's tests.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("demo", "tests/client")]
