"""What the fork server imports before it forks the engine process: the heavy parts of vLLM, quietly."""

import contextlib
import importlib

from edit_rrm.quiet_libraries import quieten

# A module that another version of vLLM does not have is passed over: the engine imports it itself.
_MODULES = (
    "vllm.v1.engine.core",
    "vllm.v1.executor.uniproc_executor",
    "vllm.v1.worker.cpu_worker",
    "vllm.model_executor.models.qwen2_5_vl",
)

quieten()
for _name in _MODULES:
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)
