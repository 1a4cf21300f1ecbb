"""What TRL asks of a vLLM in a run of GCPO: its arguments, when it sleeps, which weights and prompts it gets.

TRL's own code runs; vLLM's engine and the client of its server are played by what records what it is asked.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from any_text import AnyCharacters
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl.generation import vllm_generation

from edit_rrm_training.gcpo import run as gcpo_run
from edit_rrm_training.gcpo.run import grpo_arguments, run_gcpo
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.runs.settings import GcpoConfig, RrmLora, VllmSettings
from shapes_rows import pair, write_lines

_OF_PROCESSES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
TRACE = [40, 41, 42, 43, 44]


def one_of_two_wins(trainer: GcpoTrainer, inputs: Sequence[Any], *_: Any) -> torch.Tensor:
    """So that there is something to learn."""
    return torch.tensor([[1.0], [0.0]] * (len(inputs) // 2))


@pytest.fixture
def config(untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GcpoConfig:
    for name in _OF_PROCESSES:  # TRL sets them for vLLM: here they go again
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(gcpo_run, "get_profile", lambda name: AnyCharacters())
    monkeypatch.setattr(GcpoTrainer, "_calculate_rewards", one_of_two_wins)
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(4)])
    return GcpoConfig(
        base=untrained, out=tmp_path / "run", pairs=pairs, steps=2, traces=2, pairs_per_step=2,
        batch_per_device=4, max_trace_tokens=8, lr=1e-2, temperature=0.9, top_p=0.95, dtype="float32",
        gradient_checkpointing=False, workers=0, share_prompts=True, lora=RrmLora(rank=2, alpha=4),
    )  # fmt: skip


class Asked:
    """What a vLLM was asked, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.weights: list[dict[str, torch.Tensor]] = []
        self.prompts: list[list[int]] = []
        self.sampling: dict[str, Any] = {}
        self.options: dict[str, Any] = {}

    def taken(self, named: Iterator[tuple[str, torch.Tensor]]) -> None:
        """A synchronisation's weights; several calls in a row are one."""
        if self.done[-1:] != ["weights"]:
            self.done.append("weights")
            self.weights.append({})
        self.weights[-1].update((name, weight.clone()) for name, weight in named)


class Engine:
    """vLLM's, in this process."""

    def __init__(self, asked: Asked, **options: Any) -> None:
        self._asked = asked
        asked.options = options
        model = SimpleNamespace(load_weights=lambda named: asked.taken(iter(named)))
        worker = SimpleNamespace(model_runner=SimpleNamespace(model=model))
        self.llm_engine = SimpleNamespace(
            model_executor=SimpleNamespace(driver_worker=worker),
            reset_encoder_cache=lambda: asked.done.append("forget pictures"),
        )

    def sleep(self, level: int) -> None:
        self._asked.done.append(f"sleep {level}")

    def wake_up(self, tags: list[str]) -> None:
        self._asked.done.append(f"wake {' '.join(tags)}")

    def reset_prefix_cache(self) -> None:
        self._asked.done.append("forget prefixes")

    def generate(self, prompts: Sequence[Any], sampling_params: Any, use_tqdm: bool) -> list[Any]:
        self._asked.done.append("generate")
        self._asked.prompts += [prompt["prompt_token_ids"] for prompt in prompts]
        self._asked.sampling = {
            name: getattr(sampling_params, name) for name in ("n", "max_tokens", "temperature", "top_p")
        }
        drawn = [TRACE[: 2 + index % 4] for index in range(len(prompts))]
        return [
            SimpleNamespace(
                prompt_token_ids=prompt["prompt_token_ids"],
                outputs=[
                    SimpleNamespace(
                        token_ids=trace,
                        logprobs=[{token: SimpleNamespace(logprob=-6.0, rank=1)} for token in trace],
                    )
                ],
            )
            for prompt, trace in zip(prompts, drawn, strict=True)
        ]


@pytest.mark.slow
@pytest.mark.parametrize("sleep", [True, False])
def test_a_vllm_in_the_process_sleeps_between_rollouts_and_wakes_to_new_weights(
    config: GcpoConfig, monkeypatch: pytest.MonkeyPatch, sleep: bool
) -> None:
    asked = Asked()
    monkeypatch.setattr(vllm_generation, "LLM", lambda **options: Engine(asked, **options))
    vllm = VllmSettings(gpu_memory=0.35, max_model_tokens=6144, sleep=sleep)
    run_gcpo(config.model_copy(update={"vllm": vllm}))
    wanted = {
        "model": str(config.base), "gpu_memory_utilization": 0.35, "max_model_len": 6144,
        "enable_sleep_mode": sleep, "tensor_parallel_size": 1, "logprobs_mode": "processed_logprobs",
        "max_num_seqs": 8,
    }  # fmt: skip
    assert {name: asked.options[name] for name in wanted} == wanted
    synchronised = ["weights", "forget prefixes", "forget pictures"]
    if sleep:
        rollout = ["wake weights", *synchronised, "wake kv_cache", "generate", "sleep 2"]
        assert asked.done == ["sleep 2", *rollout, *rollout]
    else:
        assert (
            asked.done == [*synchronised, "generate", *synchronised, "generate"] or asked.done[0] == "weights"
        )
    assert asked.sampling == {"n": 1, "max_tokens": 8, "temperature": 0.9, "top_p": 0.95}
    assert len(asked.prompts) == 2 * 8
    base = AutoModelForImageTextToText.from_pretrained(config.base)
    first, second = asked.weights
    for name, weight in base.named_parameters():
        assert torch.equal(first[name], weight)  # adapters begin at 0
    changed = {name for name, weight in first.items() if not torch.equal(weight, second[name])}
    assert changed
    assert all("language_model" in name and "_proj" in name for name in changed)


class Server:
    """The client of `vllm serve`, as far as TRL asks."""

    def __init__(self, asked: Asked, **options: Any) -> None:
        self._asked = asked
        asked.options = options
        self.base_url = options["base_url"]
        self.session = SimpleNamespace(post=self._post)

    def _post(self, url: str) -> Any:
        self._asked.done.append(url)
        return SimpleNamespace(raise_for_status=lambda: None)

    def init_communicator(self, device: torch.device) -> None:
        self._asked.done.append("join")

    def get_server_info(self) -> dict[str, Any]:
        return {"model_config": {"logprobs_mode": "processed_logprobs"}}

    def update_named_params(self, metadata: Any, named: Iterator[tuple[str, torch.Tensor]]) -> None:
        self._asked.taken(named)
        assert [name for name, _, _ in metadata] == list(self._asked.weights[-1])

    def reset_prefix_cache(self) -> None:
        self._asked.done.append("forget prefixes")

    def image_features(self, images: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        return [{"mm_placeholders": {"image": [{}] * len(row)}} for row in images]

    def generate(self, prompts: Any, features: Any, **sampling: Any) -> dict[str, Any]:
        self._asked.done.append("generate")
        self._asked.prompts += prompts
        self._asked.sampling = sampling
        for prompt, row in zip(prompts, features, strict=True):
            self._check(prompt, row["mm_placeholders"]["image"])
        traces = [TRACE[: 2 + index % 4] for index in range(len(prompts) * sampling["n"])]
        logprobs = [[[-6.0]] * len(trace) for trace in traces]
        return {"prompt_ids": prompts, "completion_ids": traces, "logprobs": logprobs}

    def _check(self, prompt: list[int], places: list[dict[str, int]]) -> None:
        image = self._asked.options["image"]
        assert len(places) == 2
        for place in places:
            start, length = place["offset"], place["length"]
            assert set(prompt[start : start + length]) == {image}
            assert length == 36  # 96 pixels a side, 16 a token


@pytest.mark.slow
def test_a_server_is_asked_once_an_image_for_n_traces_and_given_all_tokens(
    config: GcpoConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked()
    image = AutoProcessor.from_pretrained(config.base).image_token_id
    monkeypatch.setattr(
        vllm_generation, "VLLMClient", lambda **options: Server(asked, image=image, **options)
    )
    vllm = VllmSettings(mode="server", server_url="http://rollouts:8000", sleep=True)
    assert not grpo_arguments(config.model_copy(update={"vllm": vllm}), 1).vllm_enable_sleep_mode
    run_gcpo(config.model_copy(update={"vllm": vllm}))
    assert asked.options["base_url"] == "http://rollouts:8000"
    rollout = ["weights", "forget prefixes", "http://rollouts:8000/reset_encoder_cache", "generate"]
    assert asked.done == ["join", *rollout, *rollout]
    assert len(asked.prompts) == 2 * 4  # two pairs, both sides
    assert (asked.sampling["n"], asked.sampling["max_tokens"]) == (2, 8)
    assert (asked.sampling["temperature"], asked.sampling["top_p"]) == (0.9, 0.95)
    first, second = asked.weights
    changed = {name for name, weight in first.items() if not torch.equal(weight, second[name])}
    assert changed
    assert all("lora" not in name and "_proj" in name for name in changed)
