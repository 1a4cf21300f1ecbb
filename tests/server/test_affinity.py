"""Which upstream a group goes to."""

import pytest

from edit_rrm_server.engines.affinity import Affinity, Places


def test_a_new_group_goes_to_the_least_busy_upstream() -> None:
    assert Affinity(slack=4).choose("g", {"a": 3, "b": 1, "c": 2}) == "b"


def test_a_group_stays_until_its_upstream_has_more_than_the_slack_to_do() -> None:
    affinity = Affinity(slack=4)
    assert affinity.choose("g", {"a": 0, "b": 1}) == "a"
    assert affinity.choose("g", {"a": 5, "b": 1}) == "a"
    assert affinity.choose("g", {"a": 6, "b": 1}) == "b"
    assert affinity.choose("g", {"a": 0, "b": 1}) == "b"  # the whole group has moved


def test_a_group_leaves_an_upstream_that_is_gone_and_stays_where_it_went() -> None:
    affinity = Affinity(slack=4)
    assert affinity.choose("g", {"a": 0, "b": 1}) == "a"
    assert affinity.choose("g", {"b": 1}) == "b"
    assert affinity.choose("g", {"a": 0, "b": 1}) == "b"


def test_services_that_know_nothing_of_each_other_send_a_group_to_the_same_idle_upstream() -> None:
    idle = dict.fromkeys("abcd", 0)
    choices = [[Affinity(slack=4).choose(f"g{i}", idle) for i in range(40)] for _ in range(2)]
    assert choices[0] == choices[1]
    assert set(choices[0]) == set("abcd")


@pytest.mark.parametrize(("group", "second"), [("g", "a"), ("", "b")])
def test_only_prompts_of_a_group_stay(group: str, second: str) -> None:
    affinity = Affinity(slack=4)
    affinity.choose(group, {"a": 0, "b": 1})
    assert affinity.choose(group, {"a": 2, "b": 1}) == second


def test_only_the_last_groups_are_remembered() -> None:
    affinity = Affinity(slack=4, groups=2)
    for group in ("g1", "g2", "g3"):
        affinity.choose(group, {"a": 0, "b": 1})
    assert [affinity.choose(group, {"a": 2, "b": 1}) for group in ("g3", "g1")] == ["a", "b"]


def test_a_group_stays_on_one_rank_and_groups_spread_over_all() -> None:
    ranks = Places(2, slack=4)
    used = []
    for group in ("g", "h"):
        with ranks.use(group) as first, ranks.use(group) as second:
            used.append((first, second))
            with ranks.use("another") as other:
                assert other != first
    assert all(first == second for first, second in used)
    with ranks.use("g") as again:
        assert again == used[0][0]


def test_an_engine_of_one_rank_is_not_told_which() -> None:
    with Places(1).use("g") as rank:
        assert rank is None
