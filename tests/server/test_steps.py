"""Whether an engine comes forward, as one of its clients sees it and as several do."""

import math

import pytest

from edit_rrm_server.engines.steps import RankSteps, Steps, stalled_s


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_an_engine_without_work_does_not_stall() -> None:
    clock = Clock()
    steps = Steps(clock)
    assert stalled_s([steps.report()]) == 0.0
    steps.ended(0)
    clock.now_s += 50
    assert stalled_s([steps.report()]) == 0.0


def test_it_stalls_from_its_last_step_or_from_the_first_prompt_after_it() -> None:
    clock = Clock()
    steps = Steps(clock)
    steps.ended(0)
    clock.now_s += 50
    with steps.work(0):
        clock.now_s += 7
        with steps.work(0):  # a further prompt is no step
            clock.now_s += 1
            assert stalled_s([steps.report()]) == 8.0
        steps.ended(0)
        clock.now_s += 2
        assert stalled_s([steps.report()]) == 2.0
    assert stalled_s([steps.report()]) == 0.0


def test_one_rank_that_comes_forward_does_not_hide_one_that_does_not() -> None:
    clock = Clock()
    steps = Steps(clock)
    with steps.work(0), steps.work(1):
        clock.now_s += 9
        steps.ended(0)
        assert stalled_s([steps.report()]) == 9.0


def test_what_one_front_end_sees_of_a_rank_counts_for_all() -> None:
    waiting, served = RankSteps(math.inf, 400.0), RankSteps(0.5, 20.0)
    assert stalled_s([{0: waiting}, {0: served}]) == 0.5
    assert stalled_s([{0: waiting}, {1: served}]) == 400.0
    assert stalled_s([{0: waiting}, {0: RankSteps(3.0, None)}]) == 3.0


def test_what_was_said_grows_older() -> None:
    assert RankSteps(1.0, 4.0).later(2.0, busy=True) == RankSteps(3.0, 6.0)
    assert RankSteps(1.0, 4.0).later(2.0, busy=False) == RankSteps(3.0, None)
    assert RankSteps(1.0, None).later(2.0, busy=True) == RankSteps(3.0, None)


def test_work_that_was_given_up_is_work_no_more() -> None:
    clock = Clock()
    steps = Steps(clock)
    with pytest.raises(RuntimeError), steps.work(0):
        raise RuntimeError
    clock.now_s += 9
    assert stalled_s([steps.report()]) == 0.0
