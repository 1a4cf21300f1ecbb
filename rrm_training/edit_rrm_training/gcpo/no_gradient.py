"""Whether a GCPO run had anything to learn from: what its log says of gradients."""

import json
from pathlib import Path

NO_GRADIENT = (
    "in every step each pair's scores were all right, all wrong or all tied. Take closer pairs, more traces, "
    "a higher temperature, or credit=all_scores (docs/train-the-rrm.md, What GCPO can and cannot move)"
)


def no_step_had_gradient(log: Path) -> bool:
    """Whether all logged steps, one at least, had pairs without a gradient alone, and a gradient of 0.

    A run whose checkpoint came from elsewhere has no log.
    """
    if not log.is_file():
        return False
    with log.open(encoding="utf-8") as lines:
        steps = [step for step in map(json.loads, lines) if "gcpo/no_gradient" in step]
    return bool(steps) and all(
        step["gcpo/no_gradient"] == 1.0 and step.get("grad_norm") == 0.0 for step in steps
    )
