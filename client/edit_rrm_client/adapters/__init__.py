"""Reward functions with the signatures of other people's trainers. Each is a factory around a client.

Nothing here imports a trainer or a tensor library. docs/trainers.md shows each in use; the modules say
what was verified of the trainer, and what becomes of an edit that could not be scored: never a number.
"""

from edit_rrm_client.adapters._outcomes import OnFailure
from edit_rrm_client.adapters.edit_r1 import edit_r1_scorer
from edit_rrm_client.adapters.editscore import editscore_evaluate
from edit_rrm_client.adapters.flow_grpo import flow_grpo_reward
from edit_rrm_client.adapters.openrlhf import openrlhf_reward
from edit_rrm_client.adapters.trl import async_trl_reward, trl_reward
from edit_rrm_client.adapters.verl import async_verl_reward, verl_batch_reward, verl_reward
from edit_rrm_client.adapters.verl_omni import verl_omni_reward

__all__ = [
    "OnFailure",
    "async_trl_reward",
    "async_verl_reward",
    "edit_r1_scorer",
    "editscore_evaluate",
    "flow_grpo_reward",
    "openrlhf_reward",
    "trl_reward",
    "verl_batch_reward",
    "verl_omni_reward",
    "verl_reward",
]
