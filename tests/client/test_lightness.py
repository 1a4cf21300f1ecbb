"""The client lives inside other people's training environments: importing it must stay cheap."""

import subprocess
import sys


def test_importing_the_client_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'transformers', 'trl', 'datasets', 'vllm', 'fastapi', 'uvicorn', 'starlette'}"
    command = f"import sys, edit_rrm_client.adapters; print(*sorted({heavy} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""
