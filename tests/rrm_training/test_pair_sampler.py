"""The order of GCPO's rows."""

import pytest

from edit_rrm_training.gcpo.pair_sampler import PairSampler


def test_a_rollout_holds_whole_pairs_with_n_traces_a_side() -> None:
    order = list(PairSampler(6, traces=3, pairs_per_rollout=2, seed=1))
    assert len(order) == 6 * 2 * 3
    for start in range(0, len(order), 6):
        pair = order[start] // 2
        assert order[start : start + 6] == [2 * pair] * 3 + [2 * pair + 1] * 3
    assert sorted({row // 2 for row in order}) == list(range(6))
    assert order[::6] != sorted(order[::6])


def test_a_rollout_is_emitted_once_for_each_forward_pass_on_it() -> None:
    sampler = PairSampler(4, traces=2, pairs_per_rollout=2, repeats=3, seed=1)
    order = list(sampler)
    assert len(order) == len(sampler) == 2 * 3 * 8
    assert order[0:8] == order[8:16] == order[16:24]
    assert order[24:32] == order[32:40] == order[40:48]


def test_pairs_that_do_not_fill_a_rollout_are_left_for_another_epoch() -> None:
    sampler = PairSampler(5, traces=2, pairs_per_rollout=2, seed=1)
    assert len(list(sampler)) == len(sampler) == 2 * 2 * 2 * 2
    with pytest.raises(ValueError, match="takes 8 pairs and there are 5"):
        PairSampler(5, traces=2, pairs_per_rollout=8)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    straight, resumed = (PairSampler(8, traces=2, pairs_per_rollout=2, seed=3) for _ in range(2))
    first = list(straight)
    straight.set_epoch(1)
    resumed.set_epoch(1)
    assert list(resumed) == list(straight) != first
    assert list(PairSampler(8, traces=2, pairs_per_rollout=2, seed=4)) != first
