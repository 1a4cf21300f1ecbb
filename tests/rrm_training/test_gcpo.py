"""GCPO on TRL's trainer: what a trace earns, resuming, measuring, and the checkpoint that is left.

The checkpoint has random weights and writes noise, so most tests read a score out of any text; one asks the
bundled model and reads its traces.
"""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from any_text import AnyText
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText
from trl import GRPOTrainer
from typer.testing import CliRunner

from edit_rrm.checkpoint import read_card
from edit_rrm_training.cli.app import app
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.gcpo import run as gcpo_run
from edit_rrm_training.gcpo.credit.win_ratio import advantages, win_ratios
from edit_rrm_training.gcpo.run import run_gcpo
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.runs.cpu_bfloat16 import weights_in
from edit_rrm_training.runs.run_directory import claim_directory, last_checkpoint
from edit_rrm_training.runs.settings import GcpoConfig, RrmLora
from shapes_rows import pair, write_lines

BUNDLED = Path(__file__).parents[2] / "server" / "edit_rrm_server" / "models" / "edit-rrm-tiny"


@pytest.fixture
def any_text(monkeypatch: pytest.MonkeyPatch) -> AnyText:
    profile = AnyText()
    monkeypatch.setattr(gcpo_run, "get_profile", lambda name: profile)
    return profile


@pytest.fixture
def config(untrained: Path, tmp_path: Path) -> GcpoConfig:
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(6)])
    return GcpoConfig(
        base=untrained, out=tmp_path / "run", pairs=pairs, steps=4, traces=2, pairs_per_step=2,
        batch_per_device=4, max_trace_tokens=12, lr=1e-3, dtype="float32", gradient_checkpointing=False,
        equal_images=True, workers=0, save_every=2,
    )  # fmt: skip


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoint / "model.safetensors")


def curve(out: Path) -> list[tuple[int, float, float]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"], line["gcpo/reward"]) for line in lines if "loss" in line]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_resumed_run_has_the_curve_and_the_weights_of_a_straight_one(
    config: GcpoConfig, any_text: AnyText, tmp_path: Path, dtype: str
) -> None:
    config = config.model_copy(update={"dtype": dtype})
    straight = run_gcpo(config)
    resumed = config.model_copy(update={"out": tmp_path / "resumed"})
    assert run_gcpo(resumed, stop_after=2) is None
    (resumed.out / "checkpoint-3").mkdir()  # a kill while the next one was being written
    assert last_checkpoint(resumed.out) == resumed.out / "checkpoint-2"
    final = run_gcpo(resumed)
    assert straight is not None
    assert final is not None
    assert curve(config.out) == curve(resumed.out)
    assert [step for step, _, _ in curve(config.out)] == [1, 2, 3, 4]
    assert any(reward > 0 for _, _, reward in curve(config.out))
    before, after = weights(config.base), weights(straight)
    assert all(torch.equal(after[name], tensor) for name, tensor in weights(final).items())
    assert any(not torch.equal(after[name], before[name].to(after[name].dtype)) for name in before)
    # A finished run is not repeated, one killed before its last file ends as it would have.
    assert run_gcpo(resumed) == final
    (final / "rrm.json").unlink()
    assert run_gcpo(resumed) == final
    assert read_card(final).name == config.name
    assert curve(config.out) == curve(resumed.out)
    assert all(torch.equal(after[name], tensor) for name, tensor in weights(final).items())
    with pytest.raises(SettingsError, match="other values of lr, traces"):
        run_gcpo(resumed.model_copy(update={"lr": 1.0, "traces": 4}))


def test_rollouts_borrow_bfloat16_weights_and_leave_the_models_own(untrained: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(untrained, dtype=torch.float32)

    def stored() -> dict[str, tuple[torch.dtype, int]]:
        return {name: (weight.dtype, weight.data_ptr()) for name, weight in model.named_parameters()}

    before = stored()
    with suppress(KeyboardInterrupt), weights_in(torch.bfloat16, model):
        assert {dtype for dtype, _ in stored().values()} == {torch.bfloat16}
        raise KeyboardInterrupt
    assert stored() == before


@pytest.mark.slow
def test_what_reaches_the_loss_are_the_win_ratios_advantages(
    config: GcpoConfig, any_text: AnyText, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, torch.Tensor]] = []
    generate = GcpoTrainer._generate_and_score_completions

    def record(self: GcpoTrainer, inputs: Any) -> Any:
        output = generate(self, inputs)
        texts = self.processing_class.batch_decode(output["completion_ids"], skip_special_tokens=True)
        scores = torch.tensor([self._score(text, ()) for text in texts]).view(-1, 2, 2)
        seen.append((output["advantages"], scores))
        prompts = [row["prompt"][1]["content"][1]["text"] for row in inputs]
        assert prompts[:4] == [prompts[0]] * 4  # one pair, both sides
        assert prompts[4:] == [prompts[4]] * 4
        assert inputs[0]["images"][1] is inputs[1]["images"][1]
        assert inputs[0]["images"][1].tobytes() != inputs[2]["images"][1].tobytes()
        return output

    monkeypatch.setattr(GcpoTrainer, "_generate_and_score_completions", record)
    run_gcpo(config.model_copy(update={"steps": 3}))
    assert len(seen) == 3
    for found, scores in seen:
        assert torch.allclose(found, advantages(win_ratios(scores)).flatten())
    assert any(scores.isnan().any() for _, scores in seen)
    assert any(found.abs().max() > 0 for found, _ in seen)
    logged = json.loads((config.out / "log.jsonl").read_text().splitlines()[0])
    expected = "reward win_ratio loss_ratio unparsed weighted_advantage score_margin trace_tokens no_gradient"
    assert {f"gcpo/{name}" for name in expected.split()} <= set(logged)
    assert logged["gcpo/unparsed"] == pytest.approx(seen[0][1].isnan().float().mean().item())
    assert list((config.out / "tensorboard").glob("events*"))


@pytest.mark.slow
def test_a_rollout_can_be_learned_from_twice_with_a_kl_and_adapters(
    config: GcpoConfig, any_text: AnyText
) -> None:
    final = run_gcpo(
        config.model_copy(update={"updates_per_rollout": 2, "kl": 0.1, "lora": RrmLora(rank=2, alpha=4)})
    )
    assert final is not None
    before, after = weights(config.base), weights(final)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("proj" in name and "visual" not in name for name in changed)
    assert not (final / "adapter_config.json").exists()
    lines = [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()]
    assert sum("gcpo/reward" in line for line in lines) == 2  # four steps on two rollouts
    assert max(line.get("kl", 0.0) for line in lines) > 0
    card = read_card(final)
    assert card.training["stage"] == "gcpo"
    assert card.training["base"]["name"] == "untrained"


@pytest.mark.slow
def test_measuring_does_not_change_the_curve(config: GcpoConfig, any_text: AnyText, tmp_path: Path) -> None:
    run_gcpo(config)
    measured = config.model_copy(
        update={
            "out": tmp_path / "measured",
            "validation_pairs": config.pairs,
            "eval_every": 2,
            "eval_batch": 5,
        }
    )
    run_gcpo(measured)
    assert curve(measured.out) == curve(config.out)
    lines = [json.loads(line) for line in (measured.out / "log.jsonl").read_text().splitlines()]
    found = [line for line in lines if "eval_accuracy" in line]
    assert [line["step"] for line in found] == [2, 4]
    assert found[0]["eval_pairs"] == 6


@pytest.mark.slow
@pytest.mark.parametrize("best", [2, 4, 6])
def test_the_weights_that_judged_best_are_kept_when_told_so(
    config: GcpoConfig, any_text: AnyText, monkeypatch: pytest.MonkeyPatch, best: int
) -> None:
    """On pairs of two, of which all are right at one step alone."""

    def scores(self: GcpoTrainer) -> torch.Tensor:
        right = self.state.global_step == best
        return torch.tensor([[2.0, 1.0], [2.0, 1.0] if right else [1.0, 2.0]])

    monkeypatch.setattr(GcpoTrainer, "_greedy_scores", scores)
    config = config.model_copy(
        update={"validation_pairs": config.pairs, "eval_every": 2, "keep_best": True, "steps": 6, "keep": 1}
    )
    assert run_gcpo(config, stop_after=4) is None  # a resumed run remembers
    final = run_gcpo(config)
    assert final is not None
    kept = weights(config.out / f"checkpoint-{best}")
    assert all(torch.equal(kept[name], tensor) for name, tensor in weights(final).items())
    left = {path.name for path in config.out.glob("checkpoint-*")}
    assert {f"checkpoint-{best}", "checkpoint-6"} <= left
    assert len(left) == 2
    (final / "rrm.json").unlink()  # killed while it was written
    assert run_gcpo(config) == final
    assert all(torch.equal(kept[name], tensor) for name, tensor in weights(final).items())
    chosen = read_card(final).training["kept"]
    assert chosen == {"step": best, "eval_accuracy": 1.0}
    (final / "rrm.json").unlink()
    shutil.rmtree(config.out / f"checkpoint-{best}")
    if best == 6:  # the last step is taken again from what is left
        assert run_gcpo(config) == final
    else:
        with pytest.raises(SettingsError, match=f"checkpoint-{best}.*is gone"):
            run_gcpo(config)


@pytest.mark.slow
def test_greedy_traces_of_the_bundled_model_prefer_what_people_prefer(tmp_path: Path) -> None:
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(10)])
    run_gcpo(
        GcpoConfig(
            base=BUNDLED, out=tmp_path / "run", pairs=pairs, validation_pairs=pairs, steps=1, traces=2,
            pairs_per_step=1, batch_per_device=4, max_trace_tokens=200, lr=1e-9, dtype="float32",
            gradient_checkpointing=False, equal_images=True, eval_every=1, eval_batch=20, workers=0,
        )
    )  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    measured = next(line for line in lines if "eval_accuracy" in line)
    assert measured["eval_unparsed"] <= 0.05
    assert measured["eval_accuracy"] >= 0.7
    assert measured["eval_score_margin"] > 1.0
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path / "run" / "final")
    assert loaded.num_parameters() == pytest.approx(4.1e6, rel=0.1)


def test_a_run_older_than_a_setting_is_the_one_begun_there(config: GcpoConfig) -> None:
    claim_directory(config)
    file = config.out / "settings.yaml"
    begun = yaml.safe_load(file.read_text())
    del begun["credit"], begun["keep_best"]
    file.write_text(yaml.safe_dump(begun))
    with pytest.raises(SettingsError, match=r"other values of credit$"):
        claim_directory(config.model_copy(update={"credit": "all_scores"}))
    file.write_text(yaml.safe_dump({**begun, "of_old": 1}))
    with pytest.raises(SettingsError, match="of_old"):
        claim_directory(config)
    file.write_text(yaml.safe_dump(begun))
    claim_directory(config)
    assert yaml.safe_load(file.read_text())["credit"] == "trace"


def test_a_router_s_loss_does_not_go_with_shared_prompts(
    config: GcpoConfig, any_text: AnyText, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = GRPOTrainer.__init__

    def with_router(self: Any, *args: Any, **options: Any) -> None:
        build(self, *args, **options)
        self.aux_loss_enabled = True

    monkeypatch.setattr(GRPOTrainer, "__init__", with_router)
    with pytest.raises(SettingsError, match="a router's loss"):
        run_gcpo(config.model_copy(update={"share_prompts": True}))


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"base": Path("nowhere")}, r"base: there is no checkpoint nowhere"),
        ({"pairs": Path("lost.jsonl")}, r"pairs: there is no file lost\.jsonl"),
        ({"validation_pairs": Path("lost.jsonl")}, r"validation_pairs: there is no file lost\.jsonl"),
    ],
)
def test_what_is_not_there_is_named_and_begins_no_run(
    config: GcpoConfig, wrong: dict[str, Path], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        run_gcpo(config.model_copy(update=wrong))
    assert not config.out.exists()


def test_a_step_of_more_pairs_than_there_are_is_refused(config: GcpoConfig, any_text: AnyText) -> None:
    with pytest.raises(SettingsError, match="a step takes 8, and 6 are left"):
        run_gcpo(config.model_copy(update={"pairs_per_step": 8}))


@pytest.mark.slow
def test_a_curve_whose_last_line_a_kill_cut_short_is_gone_on_with(
    config: GcpoConfig, any_text: AnyText
) -> None:
    run_gcpo(config, stop_after=2)
    with (config.out / "log.jsonl").open("a") as lines:
        lines.write('{"step": 3, "lo')
    assert run_gcpo(config) is not None
    assert [step for step, _, _ in curve(config.out)] == [1, 2, 3, 4]


def test_a_run_in_which_nothing_parses_says_that_nothing_was_learned(config: GcpoConfig) -> None:
    """A checkpoint of random weights writes noise: no trace has a score."""
    given = config.model_dump(mode="json", exclude_none=True) | {"steps": 1}
    (config.out.parent / "gcpo.json").write_text(json.dumps(given))
    command = ["gcpo", "--config", str(config.out.parent / "gcpo.json")]
    for _ in range(2):  # and again when it is finished
        ended = CliRunner().invoke(app, command)
        assert ended.exit_code == 0, ended.output
        assert "nothing was learned" in ended.output
        assert "finished in" not in ended.output
    before, after = weights(config.base), weights(config.out / "final")
    assert all(torch.equal(after[name], before[name].to(after[name].dtype)) for name in before)


@pytest.mark.slow
def test_steps_can_be_raised_between_whole_rollouts(
    config: GcpoConfig, any_text: AnyText, tmp_path: Path
) -> None:
    straight = run_gcpo(config)
    raised = config.model_copy(update={"out": tmp_path / "raised"})
    assert run_gcpo(raised.model_copy(update={"steps": 2})) == raised.out / "final"
    final = run_gcpo(raised)
    assert final is not None
    assert straight is not None
    assert curve(config.out) == curve(raised.out)
    assert all(torch.equal(weights(straight)[name], tensor) for name, tensor in weights(final).items())
