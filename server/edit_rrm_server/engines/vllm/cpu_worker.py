"""vLLM's worker on CPUs, in whose engine process a seeded prompt may be read in several steps.

vLLM draws a token at the end of every step, also where a prompt was only read in part, throws that draw
away and sets the prompt's generator back (seen in 0.31: `_bookkeeping_sync` of its GPUModelRunner). A
generator on a CPU cannot be set back: "CPU Generator does not use offset", and the engine is dead for
everybody. Here such a prompt's generator is kept out of the step, so there is nothing to set back. What is
drawn from it afterwards is the same: the same seed gives the same text, in however many steps it was read.

Imported by its name in the engine process only. `vllm serve --worker-cls` takes it too.
"""

from typing import Any

import numpy as np
from vllm.v1.worker.cpu_worker import CPUWorker


class SeededCPUWorker(CPUWorker):  # type: ignore[misc]
    """See the module."""

    def sample_tokens(self, grammar_output: Any) -> Any:
        """A step's tokens; the generators of prompts that are not read to their end draw none of them."""
        batch = self.model_runner.input_batch
        unread = np.flatnonzero(self.model_runner.discard_request_mask.np[: batch.num_reqs]).tolist()
        held = {row: batch.generators.pop(row) for row in unread if row in batch.generators}
        try:
            return super().sample_tokens(grammar_output)
        finally:
            batch.generators.update(held)
