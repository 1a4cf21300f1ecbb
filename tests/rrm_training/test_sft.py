"""SFT on TRL's trainer: rows, weights of tokens, adapters, resuming, the checkpoint that is left."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoModelForImageTextToText, Qwen2_5_VLProcessor
from trl.data_utils import prepare_multimodal_messages
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from edit_rrm.checkpoint import read_card
from edit_rrm.image_scale import ImageScale
from edit_rrm.judges import TrainedProfile
from edit_rrm_shapes.tiny_rrm.batches import encode, role_weights
from edit_rrm_shapes.tiny_rrm.muon import MuonWithAdamW
from edit_rrm_shapes.tiny_rrm.tasks import verify_completion, verify_prompt
from edit_rrm_shapes.world.dataset import make_edit
from edit_rrm_training.data.samples import Sample
from edit_rrm_training.data.trl_rows import sft_dataset
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.runs.checkpoints import load_base
from edit_rrm_training.runs.run_directory import check_directory, claim_directory
from edit_rrm_training.runs.settings import RrmLora, SftConfig
from edit_rrm_training.runs.training_run import optimizers_of
from edit_rrm_training.sft.run import run_sft, sft_arguments
from edit_rrm_training.sft.trainer import IGNORED, WeightedCollator, WeightedSftTrainer
from shapes_rows import decompose_row, stored, verify_row, write_lines


@pytest.fixture
def config(untrained: Path, tmp_path: Path) -> SftConfig:
    rows = write_lines(tmp_path / "rows.jsonl", [verify_row(index) for index in range(6)])
    return SftConfig(
        base=untrained, out=tmp_path / "run", rows=(rows,), steps=4, batch_per_device=3, lr=2e-3,
        dtype="float32", gradient_checkpointing=False, equal_images=True, workers=0, save_every=2,
        log_every=1,
    )  # fmt: skip


def test_a_file_of_rows_that_is_not_there_is_named_and_begins_no_run(config: SftConfig) -> None:
    with pytest.raises(SettingsError, match=r"rows: lost\.jsonl: there is no such file or folder"):
        run_sft(config.model_copy(update={"rows": (Path("lost.jsonl"),)}))
    assert not config.out.exists()


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoint / "model.safetensors")


def losses(out: Path) -> list[float]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def test_a_row_becomes_the_tokens_that_the_service_sends(untrained: Path, tmp_path: Path) -> None:
    row = verify_row(3)
    example = sft_dataset(stored([row], tmp_path), TrainedProfile(), ImageScale(384))[0]
    processor = Qwen2_5_VLProcessor.from_pretrained(untrained)
    ids = processor.apply_chat_template(
        [prepare_multimodal_messages(example["prompt"], images=example["images"])],
        tokenize=True, return_dict=True, add_generation_prompt=True,
    )["input_ids"][0]  # fmt: skip
    edit = make_edit(900, 3, 4)
    served = Sample(verify_prompt(edit), (edit.picture(), edit.candidates[0].picture()), row.completion)
    encoded = encode(processor, served)
    assert ids == list(encoded.tokens[: encoded.prompt_length])
    assert [image.tobytes() for image in example["images"]] == [i.tobytes() for i in served.images]
    assert row.completion == verify_completion(edit.candidates[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "way",
    [
        {"accumulate": 2},
        {"token_weights": "shapes", "optimizer": "muon"},
        {"lora": RrmLora(rank=8, alpha=64)},
        {"dtype": "bfloat16", "token_weights": "shapes"},
    ],
    ids=["full", "muon", "lora", "bfloat16"],
)
def test_a_resumed_run_has_the_curve_and_the_weights_of_a_straight_one(
    config: SftConfig, tmp_path: Path, way: dict[str, Any]
) -> None:
    config = config.model_copy(update=way)
    straight = run_sft(config)
    resumed = config.model_copy(update={"out": tmp_path / "resumed"})
    assert run_sft(resumed, stop_after=2) is None
    final = run_sft(resumed)
    assert straight is not None
    assert final is not None
    assert losses(config.out) == losses(resumed.out)
    assert losses(config.out)[-1] < losses(config.out)[0] - 0.1
    after = weights(straight)
    assert all(torch.equal(after[name], tensor) for name, tensor in weights(final).items())
    card = read_card(final)
    assert (card.profile, card.trace_format) == ("trained", "1")
    assert card.training["rows"] == {"verify": 6}
    assert card.max_image_side == 384  # the base's
    assert AutoModelForImageTextToText.from_pretrained(final).num_parameters() < 2e6


def test_adapters_are_merged_and_touch_the_language_model_alone(config: SftConfig, tmp_path: Path) -> None:
    more = write_lines(tmp_path / "more.jsonl", [decompose_row(index) for index in range(3)])
    final = run_sft(
        config.model_copy(update={"lora": RrmLora(rank=4, alpha=8), "rows": (*config.rows, more), "steps": 2})
    )
    assert final is not None
    before, after = weights(config.base), weights(final)
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("visual" not in name and "_proj" in name for name in changed)
    assert not list(final.glob("adapter*"))
    assert read_card(final).training["rows"] == {"decompose": 3, "verify": 6}


def test_the_weighted_loss_is_the_weighted_mean_of_the_completions_tokens(
    config: SftConfig, tmp_path: Path
) -> None:
    base = load_base(config)
    rows = stored([verify_row(index) for index in range(3)], tmp_path)
    trainer = WeightedSftTrainer(
        base.model, args=sft_arguments(config), processing_class=base.processor,
        train_dataset=sft_dataset(rows, TrainedProfile(), ImageScale(384)),
        data_collator=WeightedCollator(base.processor, role_weights(base.processor)),
    )  # fmt: skip
    batch = next(iter(trainer.get_train_dataloader()))
    ids, labels, loss_weights = (batch[name] for name in ("input_ids", "labels", "loss_weights"))
    assert torch.equal(loss_weights > 0, labels != IGNORED)
    for row in range(3):
        verdicts = base.processor.tokenizer.convert_ids_to_tokens(ids[row][loss_weights[row] == 3.0])
        completion = base.processor.decode(ids[row][labels[row] != IGNORED])
        lines = completion.strip().removesuffix("<|im_end|>").splitlines()[:-2]
        assert verdicts == [line[-1] for line in lines]
    trainer.current_gradient_accumulation_steps = 1
    with torch.no_grad():
        logits = base.model(**{n: v for n, v in batch.items() if n not in ("labels", "loss_weights")}).logits
        loss = trainer.compute_loss(base.model, dict(batch))
    each = functional.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    expected = (each * loss_weights[:, 1:]).sum() / loss_weights[:, 1:].sum()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.slow
def test_compiled_layers_in_bfloat16_have_nearly_the_curve_of_plain_ones_in_float32(
    config: SftConfig, tmp_path: Path
) -> None:
    plain = config.model_copy(update={"token_weights": "shapes", "steps": 2})
    fast = plain.model_copy(update={"out": tmp_path / "fast", "dtype": "bfloat16", "compile_layers": True})
    assert run_sft(plain) is not None
    final = run_sft(fast)
    assert final is not None
    assert losses(fast.out) == pytest.approx(losses(plain.out), rel=3e-3)
    assert {tensor.dtype for tensor in weights(final).values()} == {torch.bfloat16}
    master = load_file(fast.out / "checkpoint-2" / "model.safetensors")
    assert {tensor.dtype for tensor in master.values()} == {torch.float32}


def test_on_a_cpu_without_bfloat16_a_base_under_adapters_is_float32_and_the_log_says_so(
    config: SftConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    base = load_base(config.model_copy(update={"dtype": "bfloat16", "lora": RrmLora()}))
    assert {parameter.dtype for parameter in base.model.parameters()} == {torch.float32}
    assert "float32" in caplog.text


def test_a_padded_batch_attends_in_bfloat16_as_in_float32(config: SftConfig, tmp_path: Path) -> None:
    base = load_base(config.model_copy(update={"dtype": "bfloat16"}))
    rows = stored([verify_row(index) for index in range(3)], tmp_path)
    dataset = sft_dataset(rows, TrainedProfile(), ImageScale(384))
    batch = WeightedCollator(base.processor, role_weights(base.processor))(
        [dataset[index] for index in range(3)]
    )
    assert not batch["attention_mask"].all()
    inputs = {name: value for name, value in batch.items() if name not in ("labels", "loss_weights")}
    real = batch["attention_mask"].bool()
    exact = load_base(config).model(**inputs).logits[real]
    assert torch.allclose(base.model(**inputs).logits[real], exact, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = base.model(**inputs).logits[real]
    assert (rounded - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_muon_and_adamw_resume_as_one_optimiser(config: SftConfig) -> None:
    given = config.model_copy(update={"optimizer": "muon", "lr": 0.01})

    def model() -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))

    def steps(module: torch.nn.Module, optimizer: MuonWithAdamW, count: int) -> None:
        for step in range(count):
            optimizer.zero_grad()
            module(torch.full((2, 4), float(step + 1)) + torch.eye(2, 4)).square().sum().backward()
            optimizer.step()

    straight = model()
    optimizer, _ = optimizers_of(given, straight)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.01, 0.03])
    steps(straight, optimizer, 3)
    resumed = model()
    resumed.load_state_dict(straight.state_dict())
    again, _ = optimizers_of(given, resumed)
    again.load_state_dict(deepcopy(optimizer.state_dict()))  # as from a file
    for group in (*optimizer.param_groups, *again.param_groups):
        group["lr"] *= 0.5  # as a schedule does: the parts must see it
    steps(straight, optimizer, 2)
    steps(resumed, again, 2)
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def lines_with(out: Path, name: str) -> dict[int, float]:
    """Step to value."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line[name] for line in lines if name in line}


@pytest.mark.parametrize("weights_of_tokens", [None, "shapes"])
def test_the_loss_of_validation_rows_is_logged_as_often_as_wanted_and_at_the_end(
    config: SftConfig, tmp_path: Path, weights_of_tokens: str | None
) -> None:
    """Without learning it is the loss of the rows, whatever else is asked for: each time the same."""
    held_out = write_lines(tmp_path / "held-out.jsonl", [verify_row(index) for index in (10, 11)])
    measured = config.model_copy(
        update={"validation_rows": (held_out,), "eval_every": 2, "steps": 3, "lr": 1e-12, "accumulate": 2,
                "token_weights": weights_of_tokens, "batch_per_device": 1}
    )  # fmt: skip
    assert run_sft(measured) is not None
    found = lines_with(config.out, "eval_loss")
    assert list(found) == [2, 3]
    assert found[2] == pytest.approx(found[3], abs=1e-4)
    learned = measured.model_copy(
        update={"out": tmp_path / "learned", "rows": (held_out,), "accumulate": 1, "batch_per_device": 2,
                "steps": 1, "validation_rows": ()}
    )  # fmt: skip
    assert run_sft(learned) is not None
    # The one batch is those two rows.
    assert lines_with(learned.out, "loss")[1] == pytest.approx(found[2], abs=0.02)


def test_only_so_many_validation_rows_are_measured(
    config: SftConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = write_lines(tmp_path / "held-out.jsonl", [verify_row(index) for index in range(10, 14)])
    seen: list[int] = []
    monkeypatch.setattr(
        "edit_rrm_training.sft.run.train",
        lambda trainer, *rest, **more: seen.extend((len(trainer.train_dataset), len(trainer.eval_dataset))),
    )
    run_sft(config.model_copy(update={"validation_rows": (held_out,), "validation_count": 3}))
    assert seen == [6, 3]


def test_a_resumed_run_over_shards_lands_on_the_rows_of_a_straight_one(
    config: SftConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for shard in range(2):
        write_lines(shards / f"{shard}.jsonl", [verify_row(2 * shard + index) for index in range(2)])
    seen: list[list[str]] = []
    collate = DataCollatorForVisionLanguageModeling.torch_call

    def watched(self: Any, examples: list[dict[str, Any]]) -> dict[str, Any]:
        seen.append([str(example["prompt"]) for example in examples])
        batch: dict[str, Any] = collate(self, examples)
        return batch

    monkeypatch.setattr(DataCollatorForVisionLanguageModeling, "torch_call", watched)
    config = config.model_copy(update={"rows": (shards,), "batch_per_device": 1, "steps": 4})
    assert run_sft(config) is not None
    straight, seen[:] = list(seen), []
    resumed = config.model_copy(update={"out": tmp_path / "resumed"})
    assert run_sft(resumed, stop_after=2) is None
    assert (resumed.out / "rows").is_dir()
    assert run_sft(resumed) is not None
    assert not (resumed.out / "rows").exists()
    assert len({prompt for batch in straight for prompt in batch}) == 4  # an epoch, in the order of the seed
    assert seen[:2] == straight[:2]
    assert seen[-2:] == straight[2:]


def test_a_run_does_not_go_on_with_other_rows(config: SftConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edit_rrm_training.sft.run.train", lambda *options, **more: False)
    assert run_sft(config) is None
    rows = config.rows[0].read_text()
    config.rows[0].write_text(rows + "\n")  # the same rows
    assert run_sft(config) is None
    config.rows[0].write_text(rows.replace("<score>", "<score>0", 1))
    with pytest.raises(SettingsError, match=r"rows: not those that the run in .* was begun with"):
        run_sft(config)


def test_weights_of_sixteen_bits_are_not_trained_without_masters(
    config: SftConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_base(config)
    loaded.model.to(torch.bfloat16)
    monkeypatch.setattr("edit_rrm_training.sft.run.load_base", lambda config: loaded)
    with pytest.raises(SettingsError, match=r"16 bits and no float32 masters.*autocast\), or set lora"):
        run_sft(config)
    adapters = config.model_copy(
        update={
            "lora": RrmLora(rank=2, alpha=4),
            "steps": 1,
            "batch_per_device": 1,
            "out": config.out / "lora",
        }
    )
    assert run_sft(adapters) is not None  # whose weights are float32


def test_attention_is_computed_as_is_asked_for(config: SftConfig) -> None:
    for wanted, used in (("eager", "eager"), ("sdpa", "sdpa"), (None, "sdpa")):
        model = load_base(config.model_copy(update={"attention": wanted})).model
        assert model.model.language_model.config._attn_implementation == used
    with pytest.raises(SettingsError, match="flash_attention_2 needs a GPU and the package flash-attn"):
        load_base(config.model_copy(update={"attention": "flash_attention_2"}))


def test_steps_can_be_raised_and_the_run_is_as_one_of_so_many_from_the_start(
    config: SftConfig, tmp_path: Path
) -> None:
    straight = run_sft(config)
    raised = config.model_copy(update={"out": tmp_path / "raised"})
    first = run_sft(raised.model_copy(update={"steps": 2}))
    assert first is not None
    assert run_sft(raised.model_copy(update={"steps": 2})) == first  # nothing is left to do
    begun = weights(first)
    final = run_sft(raised)
    assert final is not None
    assert straight is not None
    assert losses(raised.out) == losses(config.out)
    after = weights(final)
    assert all(torch.equal(after[name], tensor) for name, tensor in weights(straight).items())
    assert any(not torch.equal(after[name], tensor) for name, tensor in begun.items())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 3}, "begun with 4 steps: they can be raised, not lowered to 3"),
        ({"steps": 5, "lr_schedule": "linear"}, "at the last of which its rate, linear, is 0"),
        ({"steps": 5, "lr": 1.0}, "begun with other values of lr$"),
    ],
)
def test_steps_are_raised_only_where_the_curve_stays_the_same(
    config: SftConfig, changes: dict[str, Any], words: str
) -> None:
    begun = config.model_copy(update={"lr_schedule": changes.get("lr_schedule", "constant")})
    claim_directory(begun)
    with pytest.raises(SettingsError, match=words):
        check_directory(begun.model_copy(update=changes))
