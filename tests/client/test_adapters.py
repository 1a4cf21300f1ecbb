"""Each adapter called as its trainer calls it, against the mock service."""

import asyncio
import inspect
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adapter_batches import UNSCORABLE, Judge, floats, picture, pixels

from edit_rrm_client import (
    AuthenticationError,
    EditRRMClientError,
    InvalidImageError,
    InvalidRequestError,
    ScoringFailedError,
    UnavailableError,
)
from edit_rrm_client.adapters import (
    async_trl_reward,
    async_verl_reward,
    edit_r1_scorer,
    editscore_evaluate,
    flow_grpo_reward,
    openrlhf_reward,
    trl_reward,
    verl_batch_reward,
    verl_omni_reward,
    verl_reward,
)


class Log:
    """What a TRL reward function logs."""

    def __init__(self) -> None:
        self.extra: dict[str, list[Any]] = {}
        self.metrics: dict[str, float] = {}

    def as_trl_passes(self, count: int, **columns: Any) -> dict[str, Any]:
        """Everything TRL calls a reward function with, for `count` completions."""
        return {
            "prompts": ["decoded"] * count,
            "completions": ["text"] * count,
            "completion_ids": [[1, 2]] * count,
            "trainer_state": object(),
            "log_extra": self.extra.__setitem__,
            "log_metric": self.metrics.__setitem__,
            **columns,
        }


class TestTRL:
    def batch(self) -> dict[str, Any]:
        return {
            "instruction": ["make it red"] * 4,
            "image": [picture(1), picture(1), picture(2), picture(2)],
            "edited_image": [picture(10), picture(UNSCORABLE), picture(30), picture(80)],
        }

    def test_a_source_and_an_instruction_are_one_call_and_a_failed_completion_is_none(self) -> None:
        judge, log = Judge(), Log()
        reward = trl_reward(judge.client())
        assert reward(**log.as_trl_passes(4, **self.batch())) == [0.1, None, 0.3, 0.8]
        assert sorted(judge.groups) == [
            ("make it red", 1, [10, UNSCORABLE]),
            ("make it red", 2, [30, 80]),
        ]
        assert {call.request.priority for call in judge.calls} == {"training"}

    async def test_ms_swift_passes_the_completions_by_position(self) -> None:
        batch = {**self.batch(), "trainer_state": None}
        assert trl_reward(Judge().client())(["text"] * 4, **batch) == [0.1, None, 0.3, 0.8]
        found = await async_trl_reward(Judge().asyncio_client())(["text"] * 4, **batch)
        assert found == [0.1, None, 0.3, 0.8]

    def test_rows_without_a_source_and_broken_images_are_none_and_the_others_are_scored(self) -> None:
        broken = np.full((4, 4, 3), np.nan, np.float32)
        batch = {**self.batch(), "image": [picture(1), None, picture(2), picture(2)]}
        batch["edited_image"] = [picture(10), picture(20), broken, picture(80)]
        log = Log()
        assert trl_reward(Judge().client())(**log.as_trl_passes(4, **batch)) == [0.1, None, None, 0.8]
        assert log.extra["edit_rrm/verdicts"][1:3] == ["failed: invalid_image"] * 2

    async def test_the_asynchronous_one_gives_the_same(self) -> None:
        judge, log = Judge(), Log()
        reward = async_trl_reward(judge.asyncio_client(), name="edits")
        assert inspect.iscoroutinefunction(reward)
        assert reward.__name__ == "edits"
        assert await reward(**log.as_trl_passes(4, **self.batch())) == [0.1, None, 0.3, 0.8]
        assert len(judge.groups) == 2

    def test_pass_rates_failures_and_verdicts_are_logged(self) -> None:
        log = Log()
        trl_reward(Judge().client())(**log.as_trl_passes(4, **self.batch()))
        # The mock's one principle is met from 0.5 on: 1 of 3 scored; 1 of 4 was not scored.
        assert log.metrics == {"edit_rrm/follow": pytest.approx(1 / 3), "edit_rrm/failed": 0.25}
        assert log.extra == {
            "edit_rrm/verdicts": ["follow 0/1", "failed: trace_unparseable", "follow 0/1", "follow 1/1"]
        }

    def test_the_edited_image_may_come_from_a_function_of_the_completions(self) -> None:
        judge, log = Judge(), Log()

        def edit(completions: list[str], image: list[Any], **_: Any) -> list[Any]:
            return [None if text == "refuse" else picture(len(text)) for text in completions]

        passed = log.as_trl_passes(3, instruction=["x"] * 3, image=[picture(1)] * 3)
        passed["completions"] = ["four", "refuse", "seventh"]
        assert trl_reward(judge.client(), edited=edit)(**passed) == [0.04, None, 0.07]
        assert judge.groups == [("x", 1, [4, 7])]
        assert log.extra["edit_rrm/verdicts"][1] == "failed: no_edited_image"

    def test_the_sources_may_be_the_images_of_images(self) -> None:
        judge, log = Judge(), Log()
        columns = {"instruction": ["x"], "images": [[picture(7)]], "edited_image": [picture(10)]}
        assert trl_reward(judge.client())(**log.as_trl_passes(1, **columns)) == [0.1]
        assert judge.groups == [("x", 7, [10])]
        columns["images"] = [[picture(7), picture(8)]]
        assert trl_reward(judge.client())(**log.as_trl_passes(1, **columns)) == [0.1]
        assert judge.sources == [[7], [7, 8]]
        columns["images"] = [[picture(7)] * 5]
        with pytest.raises(InvalidRequestError, match=r"source of completion 0: expected 1 to 4 .* got 5"):
            trl_reward(judge.client())(**log.as_trl_passes(1, **columns))

    def test_a_group_column_tells_groups_apart_that_look_alike(self) -> None:
        judge, log = Judge(), Log()
        columns = {**self.batch(), "image": [picture(1)] * 4, "row": [0, 0, 1, 1]}
        trl_reward(judge.client(), group="row")(**log.as_trl_passes(4, **columns))
        assert sorted(reds for _, _, reds in judge.groups) == [[10, UNSCORABLE], [30, 80]]

    def test_a_missing_column_is_named_with_those_there_are(self) -> None:
        with pytest.raises(InvalidRequestError, match=r"no column 'edited_image' for `edited`.*instruction"):
            trl_reward(Judge().client())(**Log().as_trl_passes(1, instruction=["x"], image=[picture(1)]))

    def test_an_overloaded_service_costs_the_group_and_a_wrong_key_the_run(self) -> None:
        judge, log = Judge(), Log()
        judge.fail(503, times=None)
        assert trl_reward(judge.client())(**log.as_trl_passes(4, **self.batch())) == [None] * 4
        assert log.metrics == {"edit_rrm/failed": 1.0}
        judge = Judge()
        judge.fail(403)
        with pytest.raises(AuthenticationError):
            trl_reward(judge.client())(**log.as_trl_passes(4, **self.batch()))


class TestFlowGRPO:
    def test_tensors_and_reference_images_give_the_scores_and_their_average(self) -> None:
        torch = pytest.importorskip("torch")
        judge = Judge()
        reward_fn = flow_grpo_reward(judge.client())
        images = torch.tensor(floats(20, 40, 60)).bfloat16()
        ref_images = [picture(1), picture(1), picture(2)]
        prompts = ("make it red",) * 3  # flow_grpo's collate function makes tuples
        scores, info = reward_fn(images, prompts, [{}] * 3, ref_images, only_strict=True)
        assert scores == {"edit_rrm": [0.2, 0.4, 0.6], "avg": [0.2, 0.4, 0.6]}
        assert info == {}
        assert sorted(judge.groups) == [("make it red", 1, [20, 40]), ("make it red", 2, [60])]

    def test_byte_arrays_with_their_channels_last_are_taken_too(self) -> None:
        scores, _ = flow_grpo_reward(Judge().client(), name="edits")(
            pixels(20, 40), ["x", "x"], {}, [picture(1)] * 2
        )
        assert scores == {"edits": [0.2, 0.4], "avg": [0.2, 0.4]}

    def test_a_failed_edit_raises_its_reason_or_is_nan_where_that_is_asked_for(self) -> None:
        batch = (floats(20, UNSCORABLE), ["x", "x"], [{}, {}], [picture(1)] * 2)
        with pytest.raises(ScoringFailedError, match="edit 1 was not scored") as caught:
            flow_grpo_reward(Judge().client())(*batch)
        assert caught.value.code == "trace_unparseable"
        scores, _ = flow_grpo_reward(Judge().client(), on_failure="nan")(*batch)
        assert scores["avg"][0] == 0.2
        assert math.isnan(scores["avg"][1])
        with pytest.raises(InvalidRequestError, match="on_failure must be one of raise, nan"):
            flow_grpo_reward(Judge().client(), on_failure="zero")  # type: ignore[arg-type]

    def test_edits_without_reference_images_are_refused(self) -> None:
        with pytest.raises(InvalidRequestError, match="ref_images"):
            flow_grpo_reward(Judge().client())(floats(20), ["x"], [{}])

    def test_lists_of_different_length_are_named(self) -> None:
        with pytest.raises(InvalidRequestError, match=r"as many prompts as images \(2\), got 1"):
            flow_grpo_reward(Judge().client())(floats(20, 40), ["x"], [{}], [picture(1)] * 2)


def test_edit_r1_passes_the_reference_images_first() -> None:
    judge = Judge()
    scorer = edit_r1_scorer(judge.client())
    assert scorer([picture(1), picture(1)], floats(20, 40), ["x", "x"], [{}, {}]) == ([0.2, 0.4], {})
    assert judge.groups == [("x", 1, [20, 40])]


class TestEditScore:
    def evaluate(self, *reds: int, **factory: Any) -> tuple[Any, ...]:
        evaluate_images = editscore_evaluate(Judge().client(), **factory)
        return evaluate_images(
            input_images=[[picture(1)] for _ in reds],
            output_image=[picture(red) for red in reds],
            meta_datas=[json.dumps({"instruction": "x", "id": f"{place}"}) for place in range(len(reds))],
            proxy_host="ignored",
            proxy_port=1,
            server_type="vlm",
        )

    def test_scores_are_binary_at_a_half_and_rewards_are_not(self) -> None:
        scores, rewards, reasoning, meta_data = self.evaluate(49, 50, 90)
        assert scores == [0.0, 1.0, 1.0]
        assert rewards == [0.49, 0.5, 0.9]
        assert len(reasoning) == 3
        assert meta_data[2] == {"instruction": "x", "id": "2", "original_index": 2}

    def test_a_failed_edit_has_no_score_either(self) -> None:
        with pytest.raises(ScoringFailedError):
            self.evaluate(50, UNSCORABLE)
        scores, rewards, reasoning, _ = self.evaluate(50, UNSCORABLE, on_failure="nan")
        assert (scores[0], rewards[0]) == (1.0, 0.5)
        assert math.isnan(scores[1])
        assert math.isnan(rewards[1])
        assert "trace_unparseable" in reasoning[1]

    def test_metadata_that_names_no_instruction_is_refused(self) -> None:
        evaluate_images = editscore_evaluate(Judge().client())
        for text, reason in (("{", "is not JSON"), ("{}", "`instruction`"), ("[]", "expected an object")):
            with pytest.raises(InvalidRequestError, match=reason):
                evaluate_images([[picture(1)]], [picture(2)], [text])


async def test_every_adapter_passes_all_source_images_of_an_edit() -> None:
    judge, two = Judge(), [picture(1), picture(2)]
    flow_grpo_reward(judge.client())(floats(20, 40), ["x", "x"], {}, [two, two])
    edit_r1_scorer(judge.client())([two], floats(20), ["x"], [{}])
    editscore_evaluate(judge.client())([two], [picture(20)], [json.dumps({"instruction": "x"})])
    sample = {"data_source": "", "ground_truth": "x", "extra_info": {"source_img": two}}
    verl_reward(judge.client(), edited=lambda *_: picture(20))(solution_str="", **sample)
    await verl_omni_reward(judge.asyncio_client())(solution_image=floats(20)[0], **sample)
    assert judge.sources == [[1, 2]] * 5


def test_a_judge_that_takes_one_source_ends_the_run_with_its_reason() -> None:
    judge = Judge()
    judge.fail(422)
    with pytest.raises(InvalidRequestError):
        flow_grpo_reward(judge.client())(floats(20), ["x"], {}, [[picture(1), picture(2)]])


VERL_SAMPLE: dict[str, Any] = {
    "data_source": "edits",
    "solution_str": "text",
    "ground_truth": "make it red",
    "extra_info": {"source_img": picture(1), "edited_img": picture(70), "num_turns": 1},
    "reward_router_address": None,
}
INFO: dict[str, Any] = VERL_SAMPLE["extra_info"]


class TestVerl:
    def test_the_score_comes_with_the_same_keys_always(self) -> None:
        judge = Judge()
        compute_score = verl_reward(judge.client())
        found = compute_score(**VERL_SAMPLE)
        assert (found["score"], found["follow"]) == (0.7, 1.0)
        assert list(found) == ["score", "follow", "keep", "quality"]
        assert math.isnan(found["keep"])
        assert judge.groups == [("make it red", 1, [70])]

    async def test_the_asynchronous_one_is_a_coroutine_function(self) -> None:
        judge = Judge()
        compute_score = async_verl_reward(
            judge.asyncio_client(), edited=lambda text, extra: picture(len(text))
        )
        assert inspect.iscoroutinefunction(compute_score)
        found = await asyncio.gather(*(compute_score(**VERL_SAMPLE) for _ in range(3)))
        assert [each["score"] for each in found] == [0.04] * 3

    def test_a_sample_that_cannot_be_scored_raises_and_is_never_zero(self) -> None:
        info = VERL_SAMPLE["extra_info"]
        judge = Judge()
        failing = {**VERL_SAMPLE, "extra_info": {**info, "edited_img": picture(UNSCORABLE)}}
        with pytest.raises(ScoringFailedError):
            verl_reward(judge.client())(**failing)
        found = verl_reward(judge.client(), on_failure="nan")(**failing)
        assert all(math.isnan(value) for value in found.values())
        judge.disconnect(times=None)
        with pytest.raises(UnavailableError):
            verl_reward(judge.client())(**VERL_SAMPLE)

    def test_a_sample_without_a_source_is_refused(self) -> None:
        with pytest.raises(InvalidImageError, match="source_img"):
            verl_reward(Judge().client())(**{**VERL_SAMPLE, "extra_info": {**INFO, "source_img": None}})
        nothing = {**VERL_SAMPLE, "extra_info": None}
        with pytest.raises(ScoringFailedError, match="no edited image"):
            verl_reward(Judge().client())(**nothing)
        found = verl_reward(Judge().client(), on_failure="nan")(**nothing)
        assert math.isnan(found["score"])

    def test_the_batch_manager_passes_lists_and_its_groups_are_calls(self) -> None:
        judge = Judge()
        infos = [{**INFO, "edited_img": picture(red)} for red in (10, UNSCORABLE, 30)]
        found = verl_batch_reward(judge.client(), on_failure="nan")(
            data_sources=["edits"] * 4,
            solution_strs=[""] * 4,
            ground_truths=["make it red"] * 4,
            extra_infos=[*infos, None],
        )
        scores = [None if math.isnan(each["score"]) else each["score"] for each in found]
        assert scores == [0.1, None, 0.3, None]
        assert judge.groups == [("make it red", 1, [10, UNSCORABLE, 30])]

    @pytest.mark.parametrize("dtype", ["uint8", "float32"])
    async def test_verl_omni_passes_the_edited_image_as_a_tensor(self, dtype: str) -> None:
        torch = pytest.importorskip("torch")
        judge = Judge()
        compute_score = verl_omni_reward(judge.asyncio_client())
        image = torch.tensor(pixels(70)[0].transpose(2, 0, 1))  # [3, 4, 4]
        for solution_image in (image, image.unsqueeze(0)):
            if dtype == "float32":
                solution_image = solution_image.float() / 255
            found = await compute_score(
                data_source="edits",
                solution_image=solution_image,
                ground_truth="",
                extra_info={"source_img": picture(1), "instruction": "make it red"},
                model_name="unused",
            )
            assert found["score"] == 0.7


class TestOpenRLHF:
    def label(self, red: int = 20, **changes: Any) -> dict[str, Any]:
        return {"instruction": "make it red", "source_img": picture(1), "edited_img": picture(red), **changes}

    def test_one_sample_has_a_number_and_several_have_lists(self) -> None:
        reward_func = openrlhf_reward(Judge().client())
        one = reward_func(["q"], ["p"], [self.label(20)])
        assert (one["rewards"], one["scores"]) == (0.2, 0.2)
        assert set(one["extra_logs"]) == {"follow", "keep", "quality"}
        several = reward_func(["q"] * 2, ["p"] * 2, [self.label(20), self.label(50)])
        assert several["rewards"] == [0.2, 0.5]

    def test_the_policy_s_text_makes_the_edit_and_a_label_may_be_json(self, tmp_path: Path) -> None:
        picture(1).save(tmp_path / "s.png")
        label = json.dumps({"instruction": "make it red", "source_img": str(tmp_path / "s.png")})
        reward_func = openrlhf_reward(
            Judge().client(), edited=lambda query, prompt, found: picture(int(query.removeprefix(prompt)))
        )
        assert reward_func(["red: 30"], ["red: "], [label])["rewards"] == 0.3

    @pytest.mark.parametrize("label", [None, "no JSON", [1], {"instruction": "x", "edited_img": picture(3)}])
    def test_a_sample_without_an_edit_is_a_failure(self, label: Any) -> None:
        with pytest.raises(EditRRMClientError):
            openrlhf_reward(Judge().client())(["q"], ["p"], [label])
        found = openrlhf_reward(Judge().client(), on_failure="nan")(
            ["q"] * 2, ["p"] * 2, [label, self.label(20)]
        )
        assert [math.isnan(found["rewards"][0]), found["rewards"][1]] == [True, 0.2]
