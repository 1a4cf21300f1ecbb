"""A tenth of benchmarks/guards.py: what the guards make of photographs, held to its bars."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
pytestmark = pytest.mark.slow


def test_a_tenth_of_the_cases_is_within_the_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import guards
    from rig.guard_cases import cases_of, large_cases, real_cases
    from rig.photographs import photographs

    cases = [*cases_of(photographs(), 11), *list(large_cases())[::9], *real_cases()]
    found = [guards.seen(case) for case in cases]
    shares = guards.shares(found)
    assert set(shares) == set(guards.KINDS)
    assert sum(share.total for share in shares.values()) >= 200
    wrong = [one.told() for one in found if one.case.kind == "honest" and one.lowered]
    assert len(wrong) <= 1, wrong  # of about a hundred: the bar is a share of the whole
    for kind, share in shares.items():
        if kind not in ("honest", "toned"):  # one more than the bar allows: a tenth is few
            missing = [one.told() for one in found if one.case.kind == kind and not one.lowered]
            assert len(missing) <= 1 + (1 - guards.BARS[kind][1]) * share.total, missing
