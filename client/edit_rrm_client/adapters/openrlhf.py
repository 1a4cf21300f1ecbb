"""`reward_func` for OpenRLHF, in the Python file that `--reward.remote_url` names.

Verified in OpenRLHF at 3c3be62 (openrlhf/utils/agent.py, trainer/ppo_utils/samples_generator.py): the file's
`reward_func(queries, prompts, labels)` is called in a thread for one sample at a time; the answer is a
mapping whose `rewards` and `scores` become `torch.tensor([value])`, and whose `extra_logs` are logged. An
exception is logged and leaves the sample without a reward: the run ends, unless it has a reward model too.

OpenRLHF trains language models: what was edited comes of the policy's text, by a function of yours, or stands
in the label.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, Unpack

from edit_rrm_client._client import RewardClient
from edit_rrm_client._many import ScoreOptions
from edit_rrm_client.adapters._edits import Edit, same_length
from edit_rrm_client.adapters._outcomes import OnFailure, category_shares, checked_on_failure, rewards_or
from edit_rrm_client.adapters._scoring import blocking_client, score_edits
from edit_rrm_client.adapters.verl import INSTRUCTION_KEY, SOURCE_KEY

EditedBy: TypeAlias = str | Callable[[str, str, Mapping[str, Any]], Any]
"""Where the edited image is: a key of the label, or a function of query, prompt and label."""


def openrlhf_reward(
    client: RewardClient | str | Sequence[str],
    *,
    edited: EditedBy = "edited_img",
    on_failure: OnFailure = "raise",
    **options: Unpack[ScoreOptions],
) -> Callable[..., dict[str, Any]]:
    """A `reward_func(queries, prompts, labels)`: `rewards` and `scores` in [0, 1], and `extra_logs`.

    A label is a mapping or its JSON text, with the source image (or a list of several) as `source_img` and
    the instruction as `instruction`. Of one sample the values are numbers, of several lists; the logs are the
    mean shares of met verdicts by category. Raises EditRRMClientError. Options as in `RewardClient.score`.
    """
    rewarder = blocking_client(client)
    checked_on_failure(on_failure)

    def reward_func(
        queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], **passed: Any
    ) -> dict[str, Any]:
        count = same_length(queries=queries, prompts=prompts, labels=labels)
        edits = [_edit(edited, queries[i], prompts[i], labels[i]) for i in range(count)]
        outcomes = score_edits(rewarder, edits, options, alone=count == 1)
        rewards = rewards_or(outcomes, on_failure)
        shares = [category_shares(outcome) for outcome in outcomes]
        logs = {name: _mean([share[name] for share in shares]) for name in (shares[0] if shares else ())}
        value = rewards[0] if count == 1 else rewards
        return {"rewards": value, "scores": value, "extra_logs": logs}

    return reward_func


def _edit(edited: EditedBy, query: str, prompt: str, label: Any) -> Edit:
    """The edit of one sample, whatever it lacks."""
    found = _mapping(label)
    return Edit(
        found.get(INSTRUCTION_KEY),
        found.get(SOURCE_KEY),
        edited(query, prompt, found) if callable(edited) else found.get(edited),
        source_name=f"label[{SOURCE_KEY!r}]",
        edited_name="edited image",
    )


def _mapping(label: Any) -> Mapping[str, Any]:
    if isinstance(label, str):
        try:
            label = json.loads(label)
        except ValueError:
            return {}
    return label if isinstance(label, Mapping) else {}


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
