"""Where the stochastic steps lie."""

import random

import pytest

from edit_grpo.rollout.windows import WindowSettings, stochastic_steps


def steps(settings: WindowSettings, count: int, update: int = 0, seed: int = 0) -> list[int]:
    return list(stochastic_steps(settings, count, update, random.Random(seed)))


def test_all_steps_but_the_last_are_stochastic_without_a_window() -> None:
    assert steps(WindowSettings(), 5) == [0, 1, 2, 3]


def test_a_random_window_lies_anywhere_within_its_bounds() -> None:
    settings = WindowSettings(size=2, first=1, last=3)
    seen = {tuple(steps(settings, 10, seed=seed)) for seed in range(60)}
    assert seen == {(1, 2), (2, 3), (3, 4)}


def test_a_sliding_window_moves_every_so_many_updates_and_starts_over() -> None:
    settings = WindowSettings(size=2, placement="sliding", every=10)
    assert [steps(settings, 5, update)[0] for update in (0, 9, 10, 25, 30)] == [0, 0, 1, 2, 0]


def test_the_last_step_is_never_stochastic() -> None:
    assert max(max(steps(WindowSettings(size=3), 6, seed=seed)) for seed in range(40)) == 4


@pytest.mark.parametrize(
    ("settings", "count"),
    [(WindowSettings(size=5), 5), (WindowSettings(size=2, first=3), 5), (WindowSettings(), 1)],
)
def test_a_window_that_does_not_fit_is_an_error(settings: WindowSettings, count: int) -> None:
    with pytest.raises(ValueError, match="no window of"):
        steps(settings, count)
