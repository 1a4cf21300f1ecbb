"""vLLM's batch invariance: what a prompt is answered does not depend on what else is in the engine's steps.

vLLM reads a variable for it in each of its processes, so it has to be set before the first of them begins.
"""

import os

from edit_rrm_server.errors import EngineStartError

VARIABLE = "VLLM_BATCH_INVARIANT"


def ask_for_batch_invariance(cpu_build: bool) -> None:
    """Sets it, whatever the operator's environment says. Raises EngineStartError where vLLM has none.

    Seen in 0.31: its kernels are Triton's, put in the place of torch's on GPUs; no attention for CPUs says
    that it supports them.
    """
    if cpu_build:
        raise EngineStartError(
            "batch_invariant: vLLM has the kernels for it on GPUs only, and the build for CPUs is installed; "
            "leave the setting out (in float32 on a CPU, benchmarks/determinism.py says what differs)"
        )
    os.environ[VARIABLE] = "1"
