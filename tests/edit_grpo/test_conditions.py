"""Edits are encoded once, and text encoders are on the device only while something is encoded."""

from pathlib import Path
from typing import Any

import pytest
import torch
from editor_families import FAMILIES, KONTEXT, Family
from linear_editor import LinearEditor
from small_runs import RedService, log_lines, small_settings, train, write_edits

from edit_grpo.data.edits import Edit, read_edits
from edit_grpo.policies.loading import load_policy
from edit_grpo.policies.policy import Condition
from edit_grpo.policies.settings import PolicySettings
from edit_grpo.run.conditions import Conditions, EncodedEdit
from tiny_pipelines import INSTRUCTIONS

EVERY = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
MIB = 2**20


class Encoder(LinearEditor):
    """Encodes to a quarter of a MiB an edit."""

    def encode(self, sources: Any, instructions: Any) -> Condition:
        super().encode(sources, instructions)
        return Condition({"text": torch.ones(len(sources), MIB // 16)})


def edits_of(folder: Path, count: int) -> list[Edit]:
    return read_edits([write_edits(folder, count)])


def test_an_edit_that_is_asked_for_again_is_not_encoded_again(tmp_path: Path) -> None:
    editor, edits = LinearEditor(), edits_of(tmp_path, 2)
    conditions = Conditions(editor, cache_mib=1)
    first = conditions.of(edits)
    again = conditions.of([*edits, edits[0]])
    assert len(editor.encoded) == 2
    assert all(isinstance(each, EncodedEdit) for each in (*first, *again))
    assert [each.edit.id for each in again] == [edits[0].id, edits[1].id, edits[0].id]
    for asked, known in zip(again[:2], first, strict=True):
        assert torch.equal(asked.condition.tensors["source"], known.condition.tensors["source"])
        assert asked.sources[0].tobytes() == known.sources[0].tobytes()
    assert editor.released == 2


def test_what_was_asked_for_longest_ago_makes_room(tmp_path: Path) -> None:
    editor, edits = Encoder(), edits_of(tmp_path, 5)
    conditions = Conditions(editor, cache_mib=1)  # of four edits
    conditions.of(edits[:4])
    conditions.of([edits[0]])
    conditions.of([edits[4]])  # the second one has to go
    assert len(editor.encoded) == 5
    conditions.of([edits[0], edits[2], edits[3], edits[4]])
    assert len(editor.encoded) == 5
    conditions.of([edits[1]])
    assert len(editor.encoded) == 6


def test_without_a_cache_everything_is_encoded_each_time(tmp_path: Path) -> None:
    editor, edits = LinearEditor(), edits_of(tmp_path, 1)
    conditions = Conditions(editor, cache_mib=0)
    assert len(conditions.of(edits * 2)) == 2
    assert len(editor.encoded) == 2


def test_a_cache_changes_no_number_of_a_run(tmp_path: Path) -> None:
    editors = [LinearEditor(), LinearEditor()]
    runs = [small_settings(tmp_path / name, data={"cache_mib": mib}) for name, mib in (("a", 0), ("b", 9))]
    for settings, editor in zip(runs, editors, strict=True):
        train(settings, RedService(), editor)
    assert len(editors[0].encoded) == 12  # six updates of two groups
    assert len(editors[1].encoded) == 3
    numbers = [[line["reward/mean"] for line in log_lines(settings)] for settings in runs]
    assert numbers[0] == numbers[1]


def devices_of(policy: Any) -> dict[str, set[str]]:
    """Where the parameters of the pipeline's parts are."""
    parts = policy.pipeline.components.items()
    return {
        name: {each.device.type for each in part.parameters()}
        for name, part in parts
        if isinstance(part, torch.nn.Module)
    }


@EVERY
def test_text_encoders_leave_the_device_and_what_was_encoded_still_serves(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent to the device `meta` has left memory for good: nothing but encoding may need it."""
    monkeypatch.setattr(family.policy, "RESTING_PLACE", torch.device("meta"))
    policy = family.load(family.save(tmp_path))
    condition = policy.encode([family.sources()], INSTRUCTIONS[:1])
    policy.release_encoders()
    at_rest = {"meta"}
    assert devices_of(policy) == {
        name: at_rest if name in policy.TEXT_ENCODERS else {"cpu"} for name in devices_of(policy)
    }
    assert {name for name in devices_of(policy) if name.startswith("text")} == set(policy.TEXT_ENCODERS)
    noise = policy.noise(condition, torch.Generator().manual_seed(0))
    with torch.no_grad():
        velocity = policy.velocity(noise, torch.tensor([0.5]), condition)
    assert velocity.isfinite().all()
    assert policy.decode(noise)[0] is not None


@EVERY
def test_they_come_back_to_encode_and_say_the_same(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = family.load(family.save(tmp_path))
    moves: list[torch.device] = []
    for name in policy.TEXT_ENCODERS:
        encoder = getattr(policy.pipeline, name)
        to = encoder.to
        monkeypatch.setattr(encoder, "to", lambda device, to=to: moves.append(device) or to(device))
    first = policy.encode([family.sources()], INSTRUCTIONS[:1])
    assert moves == [policy.device] * len(policy.TEXT_ENCODERS)
    policy.release_encoders()
    assert moves[len(policy.TEXT_ENCODERS) :] == [policy.RESTING_PLACE] * len(policy.TEXT_ENCODERS)
    again = policy.encode([family.sources()], INSTRUCTIONS[:1])
    assert all(torch.equal(again.tensors[name], each) for name, each in first.tensors.items())


def test_they_stay_where_the_settings_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KONTEXT.policy, "RESTING_PLACE", torch.device("meta"))
    policy = KONTEXT.load(KONTEXT.save(tmp_path), text_encoders="stay")
    policy.release_encoders()
    assert set.union(*devices_of(policy).values()) == {"cpu"}


def test_they_are_not_put_on_the_device_before_there_is_something_to_encode(tmp_path: Path) -> None:
    settings = PolicySettings(name=str(KONTEXT.save(tmp_path)), dtype="float32", gradient_checkpointing=False)
    devices = devices_of(load_policy(settings, "meta"))
    assert {name: each for name, each in devices.items() if each == {"cpu"}}.keys() == {
        "text_encoder", "text_encoder_2",
    }  # fmt: skip
    assert devices["transformer"] == devices["vae"] == {"meta"}
