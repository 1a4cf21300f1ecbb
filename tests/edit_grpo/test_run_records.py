"""What is logged of an update, worked by hand, and how a resumed log goes on."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from edit_grpo.algorithms.grpo import group_advantages
from edit_grpo.reward.scoring import GroupOutcome
from edit_grpo.run.records import GroupRecord, Seconds, Watched, record_of, summary, watched_numbers
from edit_grpo.run.run_log import FILE_NAME, UpdateLog, line_of
from edit_rrm_client import ScoreAnswer

ONE = GroupRecord(
    "1", "colour", (0.2, 0.8, None), (-1.0, 1.0, 0.0), 0.3, None, "", {"follow": 1.0, "keep": 0.5}, 1
)
SAME = GroupRecord(
    "2", "tone", (0.5, 0.5, 0.5), (0.0, 0.0, 0.0), 0.0, "zero variance", "", {"follow": 0.0}, 0
)
LOST = GroupRecord("3", "tone", (None, None, None), (0.0, 0.0, 0.0), 0.0, "failures", "502", {}, 0)


def test_a_failed_candidate_is_in_no_mean() -> None:
    numbers = summary([ONE, SAME, LOST], Seconds(4.0, 1.0, 2.0, 5.0))
    assert numbers["reward/mean"] == pytest.approx((0.2 + 0.8 + 3 * 0.5) / 5)
    assert numbers["reward/failed"] == 4
    assert numbers["reward/group_std"] == pytest.approx(0.15)
    assert numbers["reward_of/colour/mean"] == pytest.approx(0.5)
    assert numbers["reward_of/colour/std"] == pytest.approx(0.3)
    assert numbers["reward_of/tone/mean"] == 0.5
    assert (numbers["verdicts/follow"], numbers["verdicts/keep"]) == (0.5, 0.5)
    assert numbers["reward/guarded"] == 1
    assert numbers["advantage/mean_abs"] == pytest.approx(2 / 3)


def test_skipped_groups_are_counted_by_reason() -> None:
    numbers = summary([ONE, SAME, LOST], Seconds(4.0, 1.0, 2.0, 5.0))
    assert numbers["groups/trained"] == 1
    assert numbers["groups/skipped_failures"] == 1
    assert numbers["groups/skipped_zero_variance"] == 1


@pytest.mark.parametrize(("waiting_s", "share"), [(0.0, 1.0), (1.0, 0.8), (5.0, 0.0), (5.1, 0.0)])
def test_the_share_of_reward_time_hidden_is_what_nobody_waited_for(waiting_s: float, share: float) -> None:
    assert summary([ONE], Seconds(4.0, waiting_s, 2.0, 5.0))["seconds/hidden_share"] == pytest.approx(share)


def test_an_update_without_any_reward_has_no_mean() -> None:
    numbers = summary([LOST], Seconds(1.0, 1.0, 0.0, 1.0))
    assert "reward/mean" not in numbers
    assert numbers["reward/failed"] == 3


def test_a_record_says_what_the_service_saw() -> None:
    answer = ScoreAnswer.model_validate({
        "id": "r", "model": "m", "principles": [], "principles_from": "model",
        "results": [
            {"status": "ok", "reward": 0.2, "score": 2, "average": 0.5,
             "categories": {"follow": 0.0, "keep": 1.0}},
            {"status": "ok", "reward": 0.8, "score": 8, "average": 0.5, "categories": {"follow": 1.0},
             "guards": [{"name": "border", "triggered": True, "value": 0.1}]},
            {"status": "error", "error": {"code": "c", "detail": "d"}},
        ],
    })  # fmt: skip
    rewards = [0.2, 0.8, None]
    found = record_of(
        "1", "colour", rewards, group_advantages(rewards, std_floor=0.01), GroupOutcome(answer, "", 0, 1)
    )
    assert found.verdicts == {"follow": 0.5, "keep": 1.0}
    assert (found.guarded, found.skipped, found.std) == (1, None, pytest.approx(0.3))


def test_what_is_watched_is_the_mean_over_all_processes_and_the_ratio_s_extreme() -> None:
    parts = [
        Watched(2, {"ratio": 2.0, "kl": 1.0}, {"ratio": 0.1}),
        Watched(6, {"ratio": 6.0, "kl": 0.0}, {"ratio": 0.3}),
        Watched(),
    ]
    assert watched_numbers(parts) == {"update/kl": 0.125, "update/ratio": 1.0, "update/ratio_off": 0.3}
    assert watched_numbers([Watched()]) == {}


def test_a_line_shows_what_there_is() -> None:
    line = line_of(
        3,
        10,
        {"reward/mean": 0.5, "update/clipped": 0.25, "groups/skipped_failures": 1, "seconds/waiting": 2},
    )
    assert line == "3 of 10: reward 0.500  skipped 1  clipped 25%  waiting 2.0s"


def test_a_resumed_log_drops_what_will_be_done_again_and_a_line_that_was_cut_off(tmp_path: Path) -> None:
    console = Console(file=io.StringIO())
    log = UpdateLog(tmp_path, 0, 4, console=console)
    for update in (1, 2, 3):
        log.update(update, {"reward/mean": update / 10})
    log.event("saved", "x")
    log.close()
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write('{"update": 4, "rew')
    resumed = UpdateLog(tmp_path, 2, 4, console=console)
    resumed.event("resumed", "y")
    resumed.update(3, {"reward/mean": 0.9})
    resumed.close()
    lines = [json.loads(line) for line in (tmp_path / FILE_NAME).read_text().splitlines()]
    assert [(line["update"], line.get("event"), line.get("reward/mean")) for line in lines] == [
        (1, None, 0.1), (2, None, 0.2), (2, "resumed", None), (3, None, 0.9),
    ]  # fmt: skip
