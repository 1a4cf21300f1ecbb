"""Packed rows against TRL's own: the same numbers, and the same gradients, from the bundled model."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers as hf
from any_text import AnyText
from pydantic import ValidationError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    LlamaConfig,
    LlamaForCausalLM,
)
from trl import GRPOTrainer

from edit_rrm_training.errors import SettingsError
from edit_rrm_training.gcpo import run as gcpo_run
from edit_rrm_training.gcpo.run import run_gcpo
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.gcpo.update.shared_prompts import Layout, check_model, pack_batches
from edit_rrm_training.runs.checkpoints import Base
from edit_rrm_training.runs.cpu_bfloat16 import keep_slow_operations_in_float32
from edit_rrm_training.runs.settings import Credit, GcpoConfig, RrmLora
from families.checkpoints import save_family
from shapes_rows import pair, write_lines

BUNDLED = Path(__file__).parents[2] / "server" / "edit_rrm_server" / "models" / "edit-rrm-tiny"


def test_a_packed_row_has_the_prompt_once_and_each_trace_behind_the_prompts_last_token() -> None:
    layout = Layout(traces=2, prompt=3, trace=2)
    rows = torch.tensor([[1, 2, 3, 4, 5], [1, 2, 3, 6, 7], [0, 8, 9, 10, 11], [0, 8, 9, 12, 0]])
    packed = layout.pack(rows)
    assert packed.tolist() == [[1, 2, 3, 4, 5, 3, 6, 7], [0, 8, 9, 10, 11, 9, 12, 0]]
    assert layout.pack(rows.expand(3, -1, -1)).tolist() == [packed.tolist()] * 3
    # Entry j scores the token after the j-th; here it is that token itself.
    assert torch.equal(layout.unpack(packed[:, 1:]), rows[:, 3:])


def test_a_trace_sees_its_prompt_and_itself_alone() -> None:
    layout = Layout(traces=2, prompt=3, trace=1)
    sees = layout.attention_mask(torch.tensor([[0, 1, 1, 1, 1, 1]]))[0, 0]
    assert sees.int().tolist() == [
        [1, 0, 0, 0, 0, 0],  # padding sees itself, so that its softmax is a number
        [0, 1, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 1, 0, 0, 1, 0],
        [0, 1, 0, 0, 1, 1],
    ]


def gradients(loss: torch.Tensor, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    found = torch.autograd.grad(loss, list(weights.values()), retain_graph=True, allow_unused=True)
    return {name: g for name, g in zip(weights, found, strict=True) if g is not None}


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["full", "full with KL, twice a rollout", "adapters with KL", "mixed types", "Qwen3-VL"]
)
def test_log_probabilities_entropies_and_gradients_are_those_of_one_row_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    adapters = kind.startswith("adapters")
    shared = GcpoTrainer._get_per_token_logps_and_entropies
    compared: list[float] = []

    def both(
        self: GcpoTrainer, model: Any, ids: Any, attention: torch.Tensor, keep: int, **fields: Any
    ) -> Any:
        packed = shared(self, model, ids, attention, keep, **fields)
        if self._images is not None:
            fields = self._images.whole(fields)
        plain = GRPOTrainer._get_per_token_logps_and_entropies(self, model, ids, attention, keep, **fields)
        real = attention[:, -keep:]
        for mine, trls in zip(packed[:2], plain[:2], strict=True):
            if trls is not None:
                torch.testing.assert_close(mine * real, trls * real, atol=2e-5, rtol=1e-4)
        if torch.is_grad_enabled():
            weight = torch.randn(real.shape, generator=torch.Generator().manual_seed(1)) * real
            mine, trls = (gradients((found[0] * weight).sum(), self.model) for found in (packed, plain))
            assert mine.keys() == trls.keys()
            for name, gradient in trls.items():
                away = (mine[name] - gradient).norm() / gradient.norm().clamp(min=1e-6)
                compared.append(away.item())
        return packed

    monkeypatch.setattr(GcpoTrainer, "_get_per_token_logps_and_entropies", both)
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(4)])
    if kind == "mixed types":  # the attention that a CPU with bfloat16 has
        load = gcpo_run.load_base

        def load_mixed(settings: GcpoConfig) -> Base:
            base = load(settings)
            keep_slow_operations_in_float32(base.model)
            return base

        monkeypatch.setattr(gcpo_run, "load_base", load_mixed)
    qwen3 = kind == "Qwen3-VL"
    if qwen3:
        monkeypatch.setattr(gcpo_run, "get_profile", lambda name: AnyText())
    config = GcpoConfig(
        base=save_family("qwen3_vl", tmp_path / "base") if qwen3 else BUNDLED, out=tmp_path / "run",
        pairs=pairs, steps=2, traces=2, pairs_per_step=2, batch_per_device=4, max_trace_tokens=60,
        lr=1e-2 if adapters else 1e-4, dtype="float32", gradient_checkpointing=False,
        equal_images=not qwen3, workers=0, share_prompts=True, save_every=2,
        lora=RrmLora(rank=2, alpha=4) if adapters else None,
        kl=0.1 if "KL" in kind else 0.0, updates_per_rollout=2 if "twice" in kind else 1,
    )  # fmt: skip
    assert run_gcpo(config) is not None
    assert len(compared) > 100
    assert max(compared) < 1e-3


def test_groups_are_whole_in_every_forward_pass_or_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"batch_per_device \(4\) must be a multiple of traces \(8\)"):
        GcpoConfig(
            base=BUNDLED, out=tmp_path, pairs=tmp_path, steps=1, traces=8, batch_per_device=4,
            share_prompts=True,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("second_prompt", "second_pixel", "fits"), [(2, 1.0, True), (4, 1.0, False), (2, 0.5, False)]
)
def test_rows_of_different_prompts_or_images_are_refused(
    second_prompt: int, second_pixel: float, fits: bool
) -> None:
    rows = torch.tensor([[1, 2, 3], [1, second_prompt, 3]])
    images = {
        "pixel_values": torch.tensor([[1.0], [second_pixel]]),
        "image_grid_thw": torch.ones(2, 3, dtype=torch.long),
        "num_images": [1, 1],
        "mm_token_type_ids": torch.zeros_like(rows),
    }
    of_any_positions = SimpleNamespace(
        base_model=SimpleNamespace(get_rope_index=lambda ids, **_: (ids.expand(3, -1, -1), None))
    )
    batches = pack_batches(of_any_positions, Layout(2, 2, 1), rows, torch.ones_like(rows), images, None)
    if fits:
        assert next(batches)["labels"].tolist() == [[-100, -100, 3, -100, 3]]
        return
    with pytest.raises(ValueError, match="rows of different prompts or images"):
        next(batches)


def test_a_model_whose_prompts_cannot_be_shared_is_refused_and_why_is_said() -> None:
    config = AutoConfig.from_pretrained(BUNDLED)
    model = AutoModelForImageTextToText.from_config(config, attn_implementation="eager")
    with pytest.raises(SettingsError, match="needs attention 'sdpa', which takes a mask, not 'eager'"):
        check_model(model)
    keep_slow_operations_in_float32(model)  # as on a CPU with bfloat16
    check_model(model)
    other = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=8
        )
    )
    with pytest.raises(SettingsError, match="LlamaForCausalLM has other positions"):
        check_model(other)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (
            hf.Qwen3NextConfig(num_hidden_layers=4),
            "Qwen3NextForCausalLM has layers of the type linear_attention",
        ),
        (
            hf.Lfm2Config(num_hidden_layers=2, layer_types=["conv", "full_attention"]),
            "Lfm2ForCausalLM has layers of the type conv",
        ),
        (hf.FalconH1Config(num_hidden_layers=1), "FalconH1ForCausalLM has layers of the type hybrid"),
        (hf.MambaConfig(num_hidden_layers=1), "MambaForCausalLM has layers of the type linear_attention"),
        (hf.RwkvConfig(num_hidden_layers=1), "RwkvForCausalLM has layers of the type recurrent"),
        (
            hf.MistralConfig(num_hidden_layers=1),
            "MistralForCausalLM has layers of the type sliding_attention",
        ),
        (
            hf.Llama4TextConfig(num_hidden_layers=2),
            "Llama4ForCausalLM has layers of the type chunked_attention",
        ),
        (
            hf.Gemma3TextConfig(num_hidden_layers=6),
            "Gemma3ForCausalLM has layers of the type sliding_attention",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_layers_that_a_mask_does_not_keep_apart_are_refused_and_named(config: Any, named: str) -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(SettingsError, match=named):
        check_model(model)


def test_windows_of_a_qwen2_5_vl_are_refused_and_without_them_it_is_not() -> None:
    config = AutoConfig.from_pretrained(BUNDLED)
    check_model(AutoModelForImageTextToText.from_config(config))
    options = config.text_config.to_dict() | {
        "use_sliding_window": True, "sliding_window": 64, "max_window_layers": 3, "layer_types": None,
    }  # fmt: skip
    config.text_config = type(config.text_config)(**options)
    with pytest.raises(SettingsError, match="layers of the type sliding_attention"):
        check_model(AutoModelForImageTextToText.from_config(config))


@pytest.mark.parametrize("credit", ["trace", "all_scores"])
def test_a_hybrid_model_is_refused_before_its_run_begins(tmp_path: Path, credit: Credit) -> None:
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(0)])
    config = GcpoConfig(
        base=save_family("qwen3_5", tmp_path / "base"), out=tmp_path / "run", pairs=pairs, steps=1, traces=2,
        pairs_per_step=1, batch_per_device=4, dtype="float32", share_prompts=True, credit=credit,
    )  # fmt: skip
    with pytest.raises(
        SettingsError, match=r"Qwen3_5ForConditionalGeneration has layers .* linear_attention"
    ):
        run_gcpo(config)
    assert not config.out.exists()
