"""One GCPO run from its settings: the base, the pairs with their principles, TRL's arguments, the end."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from trl import GRPOConfig

from edit_rrm.checkpoint import RRMCard
from edit_rrm.judges import get_profile
from edit_rrm.run_directories import FINAL
from edit_rrm_training.data.preferences import read_pairs
from edit_rrm_training.data.principles_store import by_prompts, missing, with_principles
from edit_rrm_training.data.trl_rows import PairRows
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.gcpo.update.shared_prompts import check_model
from edit_rrm_training.rollouts.generate_greedily import generate_greedily
from edit_rrm_training.rollouts.vllm_prompts import check_processor
from edit_rrm_training.runs.checkpoints import Base, load_base, lora_config
from edit_rrm_training.runs.logs import LogsRun, OnLog, OnSay, check_boards
from edit_rrm_training.runs.run_directory import check_directory, claim_directory, is_finished
from edit_rrm_training.runs.settings import GcpoConfig, VllmSettings
from edit_rrm_training.runs.training_run import (
    optimizers_of,
    require_files,
    train,
    training_arguments,
)

PRINCIPLES = "principles.jsonl"
VALIDATION_PRINCIPLES = "validation-principles.jsonl"
"""A store each: a source's name means something in the folder of its own file of pairs."""


def grpo_arguments(config: GcpoConfig, processes: int) -> GRPOConfig:
    """TRL's arguments for a run over so many processes. Raises SettingsError when they cannot share it."""
    vllm = config.vllm
    common = training_arguments(config)
    if config.keep_best:  # the best and the last: with one, the trainer deletes the last when it is done
        common["save_total_limit"] = max(2, config.keep)
    return GRPOConfig(
        **common,
        gradient_accumulation_steps=config.accumulation(processes),
        per_device_eval_batch_size=config.eval_batch,
        num_generations=config.traces,
        num_generations_eval=1,
        num_iterations=config.updates_per_rollout,
        max_completion_length=config.max_trace_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        epsilon=config.clip,
        beta=0.0 if config.credit == "all_scores" else config.kl,
        scale_rewards="none",
        loss_type="grpo",
        mask_truncated_completions=False,  # a trace that was cut off has no score, and is to learn that
        eval_strategy="no" if config.eval_every is None else "steps",
        eval_steps=config.eval_every,
        metric_for_best_model="eval_accuracy" if config.keep_best else None,
        greater_is_better=True,
        use_vllm=vllm is not None,
        **({} if vllm is None else _vllm_arguments(vllm)),
    )


def run_gcpo(
    config: GcpoConfig,
    *,
    on_log: OnLog = lambda step, values: None,
    say: OnSay = print,
    stop_after: int | None = None,
) -> Path | None:
    """Trains, or goes on training, and returns the finished checkpoint; None when `stop_after` ended it.

    A run that has done as many steps as are asked returns at once. Raises SettingsError, RowError.
    """
    final = config.out / FINAL
    arguments = grpo_arguments(config, int(os.environ.get("WORLD_SIZE", "1")))
    check_directory(config)
    if is_finished(config):
        return final
    if arguments.should_save:  # the first process, which keeps the logs
        check_boards(config)
    require_files("pairs", config.pairs)
    if config.validation_pairs is not None:
        require_files("validation_pairs", config.validation_pairs)
    base = load_base(config)
    if config.share_prompts:
        check_model(base.model)
    if config.vllm is not None and config.vllm.mode == "colocate":
        check_processor(base.processor)
    with arguments.main_process_first(desc="run directory"):
        claim_directory(config)
    rows = _rows(config, config.pairs, PRINCIPLES, base, arguments, say)
    if len(rows.pairs) < config.pairs_per_step:
        raise SettingsError(
            f"pairs_per_step: a step takes {config.pairs_per_step}, and {len(rows.pairs)} are left; "
            "begin with fewer in another out"
        )
    validation = None
    if config.validation_pairs is not None:
        validation = _rows(config, config.validation_pairs, VALIDATION_PRINCIPLES, base, arguments, say)
    logs = LogsRun(config, on_log, say)
    trainer = GcpoTrainer(
        base.model, rows, validation, get_profile(base.card.profile),
        share_prompts=config.share_prompts, credit=config.credit,
        evidence_kl=config.kl if config.credit == "all_scores" else 0.0,
        args=arguments,
        processing_class=base.processor,
        peft_config=lora_config(config),
        optimizers=optimizers_of(config, base.model),
        callbacks=[logs],
    )  # fmt: skip
    logs.samples = lambda model: trainer.samples
    with logs:
        finished = train(trainer, config, _card(config, base.card, rows), stop_after=stop_after)
    return final if finished else None


def _rows(
    config: GcpoConfig, file: Path, store: str, base: Base, arguments: GRPOConfig, say: OnSay
) -> PairRows:
    """The pairs as rows. What has no principles is decomposed first, unless other processes would wait.

    Raises SettingsError.
    """
    read, folder = read_pairs(file), file.parent
    profile = get_profile(base.card.profile)
    if arguments.world_size > 1 and (left := len(missing(read.pairs, config.out / store))):
        raise SettingsError(
            f"{file}: {left} edits have no principles, and {arguments.world_size} processes would wait for "
            f"one that decomposes them; first run: edit-rrm-train principles --pairs {file} "
            f"--checkpoint {config.base} --out {file.with_name(file.stem + '-with-principles.jsonl')}"
        )
    complete = partial(
        generate_greedily,
        base,
        folder=folder,
        max_tokens=config.max_trace_tokens,
        batch_size=config.eval_batch,
    )
    found = with_principles(read.pairs, config.out / store, by_prompts(profile, complete))
    if arguments.should_save:
        say(
            f"{len(found.pairs)} pairs; left out: {read.same} labelled same, "
            f"{found.left_out} whose edit could not be decomposed"
        )
    if not found.pairs:
        raise SettingsError("no pair is left to learn from")
    return PairRows(found.pairs, folder, profile, base.card.scale)


def _card(config: GcpoConfig, base: RRMCard, rows: PairRows) -> RRMCard:
    training: dict[str, Any] = {
        "stage": "gcpo",
        "pairs": len(rows.pairs),
        "settings": config.model_dump(mode="json", exclude={"base", "out"}),
        "base": {"name": base.name, "training": base.training},
    }
    return base.model_copy(update={"name": config.name, "training": training})


def _vllm_arguments(vllm: VllmSettings) -> dict[str, Any]:
    return {
        "vllm_mode": vllm.mode,
        "vllm_server_base_url": vllm.server_url,
        "vllm_gpu_memory_utilization": vllm.gpu_memory,
        "vllm_tensor_parallel_size": vllm.tensor_parallel,
        "vllm_max_model_length": vllm.max_model_tokens,
        "vllm_enable_sleep_mode": vllm.sleep and vllm.mode == "colocate",
        # TRL weighs a trace by the product of its tokens' ratios, π of the trainer to π of vLLM, and drops it
        # where that is above 3: 1,000 tokens, each 0.2 % likelier to the trainer, are gone. The ratio of a
        # token does not grow with its trace.
        "vllm_importance_sampling_mode": "token_truncate",
    }
