"""`edit_rrm` stays light: it lives inside other people's training environments."""

import json
import pkgutil
import subprocess
import sys

import edit_rrm

HEAVY = [
    "torch",
    "transformers",
    "vllm",
    "httpx",
    "fastapi",
    "edit_rrm_client",
    "edit_rrm_server",
    "edit_rrm_training",
    "edit_grpo",
]
MODULES = sorted(module.name for module in pkgutil.walk_packages(edit_rrm.__path__, "edit_rrm."))


def test_no_module_of_the_package_loads_anything_heavy() -> None:
    assert "edit_rrm.judges.zero_shot" in MODULES
    assert len(MODULES) >= 15
    program = (
        "import importlib, json, sys\n"
        f"for name in {MODULES}: importlib.import_module(name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(run.stdout))
    assert set(MODULES) <= loaded
    assert loaded.isdisjoint(HEAVY)
