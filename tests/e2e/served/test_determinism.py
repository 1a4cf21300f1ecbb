"""The same candidates alone, in their group, under load and over two services: one answer, to the bit.

In float32, which is what a CPU serves. benchmarks/determinism.py asks for more of them, in bfloat16 too.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from service_process import ServiceProcess, served

from edit_rrm.principles import numbered
from edit_rrm_client import CandidateScored, RewardClient
from edit_rrm_shapes.world.dataset import EditRecord, make_edit

Answer = tuple[float, tuple[float | None, ...], str | None]
PLACES = (1, 3, 4)
"""A wrong edit, a right one and one between, so that equal rewards say something."""
OTHERS = 6
COMPUTED = ("--set", "score_cache_mib=0", "--set", "kv_cache_gib=0.25", "--set", "dtype=float32")


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServiceProcess, ServiceProcess]]:
    """Two services with the bundled checkpoint, which compute every answer."""
    with (
        served(tmp_path_factory.mktemp("one"), *COMPUTED) as one,
        served(tmp_path_factory.mktemp("other"), *COMPUTED) as other,
    ):
        yield one, other


def answers(client: RewardClient, edit: EditRecord, places: Sequence[int]) -> list[Answer]:
    """Reward, probabilities and text of these candidates, asked for in one call."""
    found = client.score(
        edit.request.instruction,
        edit.picture(),
        [edit.candidates[place].picture() for place in places],
        principles=numbered((check.category, check.question) for check in edit.checks),
        guards="off",
        include=("reasoning",),
    )
    scored = [result for result in found.results if isinstance(result, CandidateScored)]
    assert len(scored) == len(places)
    return [
        (one.reward, tuple(verdict.probability for verdict in one.verdicts), one.samples[0].reasoning)
        for one in scored
    ]


def test_neither_company_nor_load_nor_replica_changes_a_bit(
    replicas: tuple[ServiceProcess, ServiceProcess], edit: EditRecord
) -> None:
    one, other = (service.url for service in replicas)
    others = [make_edit(seed=2028, index=index, candidate_count=5) for index in range(OTHERS)]
    with RewardClient(one) as first, RewardClient([one, other]) as both, ThreadPoolExecutor(OTHERS) as pool:
        alone = [answers(first, edit, [place])[0] for place in PLACES]
        assert len({reward for reward, _, _ in alone}) > 1  # one reward for all would be equal for nothing
        assert [answers(first, edit, [place])[0] for place in PLACES] == alone
        assert answers(first, edit, PLACES) == alone
        beside = [pool.submit(answers, first, another, PLACES) for another in others]
        assert [answers(first, edit, [place])[0] for place in PLACES] == alone
        for waiting in beside:
            waiting.result()
        assert list(pool.map(lambda _: answers(both, edit, PLACES), range(4))) == [alone] * 4
    for service in replicas:
        assert any("/v1/score" in line for line in service.access_lines)
