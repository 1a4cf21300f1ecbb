"""`edit-rrm score --ray`: a local cluster of two nodes, two services; same output, same resume rule."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bulk_inputs import by_content, edits_file, jsonl
from scripted_service import problem
from served_mock import asked_images, served
from typer.testing import CliRunner, Result

from edit_rrm_client import MockRewardServer, cli
from edit_rrm_client.bulk import cluster as cluster_module
from edit_rrm_client.bulk.asking import ScoreSettings
from edit_rrm_client.bulk.cluster import BatchOutcome, spool_groups
from edit_rrm_client.bulk.groups import Group, grouped
from edit_rrm_client.bulk.inputs import open_input
from edit_rrm_client.bulk.services import Services
from guide_blocks import shown

pytestmark = [pytest.mark.own_process, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A head and a second node, one CPU each."""
    import ray
    from ray.cluster_utils import Cluster

    nodes = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    local = Cluster(initialize_head=True, head_node_args={**nodes, "include_dashboard": False})
    try:
        local.add_node(**nodes)
        yield local.address
    finally:
        ray.shutdown()
        local.shutdown()


def score(source: Path, out: Path, *more: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(cli.app, ["score", str(source), "-o", str(out), *more])


def test_a_job_on_a_cluster_gives_what_it_gives_here_and_goes_on_where_it_ended(
    tmp_path: Path, cluster: str
) -> None:
    source = edits_file(tmp_path, 150, candidates=2)
    everything = [f"e{edit}/{candidate}" for edit in range(150) for candidate in range(2)]
    mocks = [by_content({"e7/1": None}), by_content({"e7/1": None})]
    with served(mocks[0]) as first, served(mocks[1]) as second:
        services = ("--url", first, "--url", second)
        on_ray = ("--ray", "--ray-address", cluster, "--ray-workers", "2", "--timeout", "5")
        here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
        assert score(source, here, *services).exit_code == 1
        calls_here = [len(mock.calls) for mock in mocks]
        assert score(source, there, *services, "--limit", "100").exit_code == 1
        result = score(
            source, there, *services, *on_ray
        )  # the journal is the same, wherever it is asked from
        assert result.exit_code == 1, result.output
        assert there.read_bytes() == here.read_bytes()
        assert [row["key"] for row in jsonl(there)] == everything
        asked = [
            key
            for mock, before in zip(mocks, calls_here, strict=True)
            for call in mock.calls[before:]
            for key in asked_images(call)
        ]
        assert sorted(asked) == sorted(everything)  # each row once, over both runs
        assert all(len(mock.calls) > before + 20 for mock, before in zip(mocks, calls_here, strict=True))
        assert not (tmp_path / "there.jsonl.pending").exists()
        before = [len(mock.calls) for mock in mocks]
        assert score(source, there, *services, *on_ray).exit_code == 1
        assert [len(mock.calls) for mock in mocks] == before
        mocks[0].fail(503, "draining", times=None)
        mocks[1].fail(503, "draining", times=None)
        away = score(source, tmp_path / "away.jsonl", *services, *on_ray[:-1], "0.5")
        assert away.exit_code == 2
        assert "draining" in away.stderr
    summary = json.loads((tmp_path / "there.jsonl.summary.json").read_text())
    assert (summary["scored"], summary["failed"], summary["skipped"]) == (299, 1, 0)


def test_the_guide_s_command_scores_a_parquet_file_on_a_cluster(
    tmp_path: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.Table.from_pylist(jsonl(edits_file(tmp_path, 20))), tmp_path / "edits.parquet")
    mocks = [by_content({}), by_content({})]
    with served(mocks[0]) as first, served(mocks[1]) as second:
        here = {"auto": cluster, "workers 16": "workers 2", "http://a:8000": first, "http://b:8000": second}
        for _, *words in shown("bulk.md", 2, here):
            ended = CliRunner(env={"COLUMNS": "120"}).invoke(cli.app, words)
            assert ended.exit_code == 0, ended.output
    assert pq.read_table(tmp_path / "results.parquet").num_rows == 20


def test_the_spool_holds_every_group_once_in_files_of_64(tmp_path: Path) -> None:
    groups = list(grouped(open_input(edits_file(tmp_path, 130), tmp_path).rows()))
    assert spool_groups(iter(groups), tmp_path / "spool") == 3
    files = sorted((tmp_path / "spool").iterdir())
    lines = [file.read_text().splitlines() for file in files]
    assert [len(file) for file in lines] == [64, 64, 2]
    assert [Group.model_validate_json(line) for file in lines for line in file] == groups


def test_a_worker_hands_back_what_it_has_when_the_service_goes_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = list(grouped(open_input(edits_file(tmp_path, 3), tmp_path).rows()))
    mock = MockRewardServer(0.5)
    answers = 3

    def drain_when_told(request: httpx.Request) -> httpx.Response:
        return problem(503, "draining") if len(mock.calls) >= answers else mock.handle_request(request)

    plain, transport = httpx.AsyncClient, httpx.MockTransport(drain_when_told)
    monkeypatch.setattr(httpx, "AsyncClient", lambda **options: plain(transport=transport, **options))
    monkeypatch.setattr(cluster_module, "_worker_number", lambda: 0)
    services = Services(urls=("http://a:8000",), timeout_s=0.2, concurrency=1)
    worker = cluster_module.ScoringWorker(services, ScoreSettings(), "mock@000000000000")

    def outcome() -> BatchOutcome:
        lines = np.array([group.model_dump_json() for group in groups], dtype=object)
        return BatchOutcome.model_validate_json(worker({"text": lines})["outcome"][0])

    whole = outcome()
    assert ([row.key for row in whole.rows], whole.away) == (["e0/0", "e1/0", "e2/0"], None)
    answers = 4
    ended = outcome()
    assert [row.key for row in ended.rows] == ["e0/0"]
    assert ended.away is not None
    assert "draining" in ended.away
    assert not ended.model_changed
