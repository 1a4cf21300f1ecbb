"""A whole job against a mock service in this process: results, failures, counts, resuming, and its ends."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from bulk_inputs import behind_httpx, by_content, edits_file, jsonl
from scripted_service import problem
from typer.testing import CliRunner, Result

from edit_rrm.wire import ScoreRequest
from edit_rrm_client import MockRewardServer, cli
from edit_rrm_client.bulk import job as job_module
from edit_rrm_client.bulk.rows import ResultRow, read_results
from edit_rrm_client.bulk.services import Services
from edit_rrm_client.bulk.window import Width, score_groups


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> MockRewardServer:
    """A mock behind every httpx client; give it rewards by content through `answer`."""
    return behind_httpx(monkeypatch, by_content({}))


def score(source: Path, out: Path, *more: str) -> Result:
    arguments = ["score", str(source), "-o", str(out), "--concurrency", "4", *more]
    return CliRunner(env={"COLUMNS": "120"}).invoke(cli.app, arguments)


def asked(service: MockRewardServer) -> list[str]:
    """The content of every candidate that was asked about, in order."""
    calls = [call for call in service.calls if isinstance(call.request, ScoreRequest)]
    return [
        call.files[candidate.part or ""].decode()
        for call in calls
        if isinstance(call.request, ScoreRequest)
        for candidate in call.request.candidates
    ]


def summary_of(out: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(Path(f"{out}.summary.json").read_text())
    assert summary["input"] == summary["scored"] + summary["failed"] + summary["skipped"]
    return summary


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_results_hold_every_row_once_in_the_inputs_order(
    tmp_path: Path, service: MockRewardServer, suffix: str
) -> None:
    source, out = edits_file(tmp_path, 7, candidates=3), tmp_path / f"r{suffix}"
    result = score(source, out, "--samples", "4", "--guards", "report", "--aggregator", "soft")
    assert result.exit_code == 0, result.output
    rows = list(read_results(out))
    assert [row.key for row in rows] == [
        f"e{edit}/{candidate}" for edit in range(7) for candidate in range(3)
    ]
    assert {(row.reward, row.score, row.follow, row.rrm) for row in rows} == {
        (0.5, 5.0, 1.0, "mock@000000000000")
    }
    requests = [call.request for call in service.calls if isinstance(call.request, ScoreRequest)]
    assert len(requests) == 7  # a call for each edit
    assert {(r.samples, r.guards, r.aggregator, r.priority) for r in requests} == {
        (4, "report", "soft", "bulk")
    }
    summary = summary_of(out)
    assert (summary["input"], summary["scored"], summary["complete"]) == (21, 21, True)
    assert summary["input_name"].endswith("/edits.jsonl")
    assert "21 rows = 21 scored + 0 failed + 0 skipped" in result.stdout


def test_failures_are_typed_have_no_number_and_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = behind_httpx(monkeypatch, by_content({"e1/0": None, "e2/1": None}))
    source, out = edits_file(tmp_path, 3, candidates=2), tmp_path / "r.jsonl"
    (tmp_path / "images/e0-1.png").unlink()
    source.write_text(source.read_text() + "not json\n")
    result = score(source, out)
    assert result.exit_code == 1
    failures = jsonl(Path(f"{out}.failures.jsonl"))
    assert [(f["row"], f["field"], f["stage"], f["code"]) for f in failures] == [
        (2, "edited", "input", "missing_file"),
        (3, "", "service", "trace_unparseable"),
        (6, "", "service", "trace_unparseable"),
        (7, "row", "input", "unreadable_row"),
    ]
    assert all(f["file"] == str(source) for f in failures)
    rows = jsonl(out)
    assert [row["reward"] for row in rows] == [0.5, None, None, 0.5, 0.5, None, None]
    assert all(row["score"] is None and row["error_code"] for row in rows if row["status"] == "error")
    assert asked(service).count("e0/1") == 0
    assert summary_of(out)["failed_by_code"] == {
        "missing_file": 1,
        "trace_unparseable": 2,
        "unreadable_row": 1,
    }


def test_a_second_run_asks_nothing_and_needs_no_service(tmp_path: Path, service: MockRewardServer) -> None:
    source, out = edits_file(tmp_path, 3), tmp_path / "r.jsonl"
    assert score(source, out).exit_code == 0
    before, calls = out.read_bytes(), len(service.calls)
    out.unlink()
    service.disconnect(times=None)
    assert score(source, out).exit_code == 0
    assert (out.read_bytes(), len(service.calls)) == (before, calls)


def test_a_limit_is_a_part_of_the_job_that_a_later_run_completes(
    tmp_path: Path, service: MockRewardServer
) -> None:
    source, out = edits_file(tmp_path, 5), tmp_path / "r.jsonl"
    assert score(source, out, "--limit", "2").exit_code == 0
    assert (len(jsonl(out)), summary_of(out)["skipped"]) == (2, 3)
    assert score(source, out).exit_code == 0
    assert (len(jsonl(out)), summary_of(out)["skipped"]) == (5, 0)
    assert sorted(asked(service)) == [f"e{edit}/0" for edit in range(5)]


def test_failed_rows_are_asked_again_only_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewards: dict[str, float | None] = {"e1/0": None}
    service = behind_httpx(monkeypatch, by_content(rewards))
    source, out = edits_file(tmp_path, 3), tmp_path / "r.jsonl"
    assert score(source, out).exit_code == 1
    assert score(source, out).exit_code == 1
    assert asked(service).count("e1/0") == 1
    rewards["e1/0"] = 0.25
    assert score(source, out, "--retry-failed").exit_code == 0
    assert [row["reward"] for row in jsonl(out)] == [0.5, 0.25, 0.5]
    assert len(asked(service)) == 4
    assert jsonl(Path(f"{out}.failures.jsonl")) == []


def test_other_settings_are_refused_until_restart(tmp_path: Path, service: MockRewardServer) -> None:
    source, out = edits_file(tmp_path, 2), tmp_path / "r.jsonl"
    assert score(source, out).exit_code == 0
    refused = score(source, out, "--samples", "2")
    assert refused.exit_code == 2
    assert "samples was not given, is 2" in refused.stderr
    assert score(source, out, "--samples", "2", "--restart").exit_code == 0
    assert len(asked(service)) == 4
    Path(f"{out}.journal.jsonl").unlink()
    assert "exists without its journal" in score(source, out).stderr


def test_a_broken_image_costs_its_own_row_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = by_content({})

    def refuse_the_second(request: httpx.Request) -> httpx.Response:
        return problem(422, "broken_image") if b"e0/1" in request.content else service.handle_request(request)

    behind_httpx(monkeypatch, httpx.MockTransport(refuse_the_second))
    source, out = edits_file(tmp_path, 1, candidates=3), tmp_path / "r.jsonl"
    assert score(source, out).exit_code == 1
    assert [row["error_code"] for row in jsonl(out)] == [None, "broken_image", None]
    assert asked(service) == ["e0/0", "e0/2"]  # alone, after the group was refused


def test_a_row_that_ends_the_connection_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = by_content({})

    def break_off(request: httpx.Request) -> httpx.Response:
        if b"e0/1" in request.content:
            raise httpx.ReadError("the service broke off")
        return service.handle_request(request)

    behind_httpx(monkeypatch, httpx.MockTransport(break_off))
    source, out = edits_file(tmp_path, 2, candidates=2), tmp_path / "r.jsonl"
    assert score(source, out, "--timeout", "0.2").exit_code == 1
    assert [row["error_code"] for row in jsonl(out)] == [None, "connection_lost", None, None]


def test_a_service_that_goes_away_ends_the_job_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = edits_file(tmp_path, 6), tmp_path / "r.jsonl"
    service = by_content({})

    def drain_after_five(request: httpx.Request) -> httpx.Response:
        away = len(asked(service)) >= 5
        return problem(503, "draining") if away else service.handle_request(request)

    behind_httpx(monkeypatch, httpx.MockTransport(drain_after_five))
    assert score(source, out, "--limit", "3").exit_code == 0
    ended = score(source, out, "--timeout", "0.2")
    assert ended.exit_code == 2
    assert "draining" in ended.stderr
    summary = summary_of(out)
    assert (summary["scored"], summary["failed"], summary["skipped"], summary["complete"]) == (5, 0, 1, False)
    assert len(jsonl(out)) == 3  # as the last complete run left it


def test_a_service_that_starts_later_is_waited_for_and_the_reader_is_told_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = edits_file(tmp_path, 1), tmp_path / "r.jsonl"
    service, refused = by_content({}), 0

    def nobody_at_first(request: httpx.Request) -> httpx.Response:
        nonlocal refused
        if refused < 4:  # one more than a call tries
            refused += 1
            raise httpx.ConnectError("refused", request=request)
        return service.handle_request(request)

    behind_httpx(monkeypatch, httpx.MockTransport(nobody_at_first))
    ended = score(source, out)
    assert (ended.exit_code, refused) == (0, 4)
    assert "start one with `edit-rrm-server serve`" in " ".join(ended.stderr.split())
    assert "waiting up to 600 s" in " ".join(ended.stderr.split())


def test_a_service_that_never_starts_is_given_up_after_the_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    behind_httpx(monkeypatch, httpx.MockTransport(nobody))
    ended = score(edits_file(tmp_path, 1), tmp_path / "r.jsonl", "--timeout", "0.3")
    assert ended.exit_code == 2
    assert "not ready after 0 s" in ended.stderr


def test_scores_of_two_checkpoints_never_mix(tmp_path: Path, service: MockRewardServer) -> None:
    source, out = edits_file(tmp_path, 2), tmp_path / "r.jsonl"
    assert score(source, out, "--limit", "1").exit_code == 0
    journal = Path(f"{out}.journal.jsonl")
    journal.write_text(journal.read_text().replace("mock@000000000000", "mock@111111111111"))
    ended = score(source, out)
    assert ended.exit_code == 2
    assert "are of mock@111111111111, the service is now mock@000000000000" in ended.stderr
    assert len(asked(service)) == 1


def test_images_are_embedded_on_demand(tmp_path: Path, service: MockRewardServer) -> None:
    source, out = edits_file(tmp_path, 1), tmp_path / "r.parquet"
    assert score(source, out, "--embed-images").exit_code == 0
    [row] = read_results(out)
    assert (row.source_image, row.edited_image) == (b"source of e0", b"e0/0")
    again = tmp_path / "again.jsonl"  # results are an input, and what it embedded stays
    assert score(out, again).exit_code == 0
    [copied] = read_results(again)
    assert (copied.key, copied.edited_image) == (row.key, b"e0/0")


def test_several_sources_are_asked_with_and_told_by_the_results(
    tmp_path: Path, service: MockRewardServer
) -> None:
    source, out = edits_file(tmp_path, 2, candidates=2), tmp_path / "r.parquet"
    rows = [{**row, "source_2": "images/e0-1.png"} for row in jsonl(source)]
    rows[3]["source_3"] = "images/no.png"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert score(source, out, "--embed-images").exit_code == 1
    calls = [call for call in service.calls if isinstance(call.request, ScoreRequest)]
    sent = [
        [call.files[image.part or ""] for image in call.request.all_sources.values()]
        for call in calls
        if call.request is not None
    ]
    assert sorted(sent) == [[b"source of e0", b"e0/1"], [b"source of e1", b"e0/1"]]
    first, _, third, failed = read_results(out)
    assert [row.source_2 for row in (first, third)] == ["images/e0-1.png"] * 2
    assert (first.source_2_image, first.source_3_image) == (b"e0/1", None)
    assert (failed.error_code, failed.reward) == ("missing_file", None)
    again = tmp_path / "again.jsonl"
    score(out, again)
    assert [row.source_2_image for row in read_results(again)][:3] == [b"e0/1"] * 3


def test_a_judge_of_one_source_gives_rows_without_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mock = MockRewardServer()

    def refuse(request: httpx.Request) -> httpx.Response:
        refused = problem(422, "invalid_request")
        return refused if request.url.path == "/v1/score" else mock.handle_request(request)

    behind_httpx(monkeypatch, httpx.MockTransport(refuse))
    source, out = edits_file(tmp_path, 1), tmp_path / "r.jsonl"
    [row] = jsonl(source)
    source.write_text(json.dumps({**row, "source_2": row["source"]}) + "\n")
    score(source, out)
    [told] = read_results(out)
    assert (told.error_code, told.reward, told.source_2) == ("invalid_request", None, row["source"])


def test_a_signal_drains_what_is_on_the_wire_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = edits_file(tmp_path, 30), tmp_path / "r.jsonl"

    def interrupt_at_the_fifth(request: ScoreRequest) -> list[float]:
        if len(asked(service)) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return [0.5]

    service = behind_httpx(monkeypatch, MockRewardServer(interrupt_at_the_fifth))
    result = score(source, out)
    assert result.exit_code == 130
    summary = summary_of(out)
    assert summary["scored"] == len(asked(service)) < 30  # all that were asked are recorded
    assert not out.exists()
    assert score(source, out).exit_code == 0
    assert sorted(asked(service)) == sorted(f"e{edit}/0" for edit in range(30))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--column", "source"], "expected NAME=YOURS"),
        (["--ray-workers", "3"], "need --ray"),
        (["--url", "nonsense"], "expected an address"),
        (["-o", "edits.jsonl"], "is the input"),
    ],
)
def test_wrong_usage_exits_with_2(
    tmp_path: Path,
    service: MockRewardServer,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    words: str,
) -> None:
    source = edits_file(tmp_path, 1)
    monkeypatch.chdir(tmp_path)
    result = score(source, tmp_path / "r.jsonl", *more)
    assert result.exit_code == 2
    assert words in result.stderr


def test_an_input_that_shrinks_meanwhile_is_noticed(
    tmp_path: Path, service: MockRewardServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = edits_file(tmp_path, 3), tmp_path / "r.jsonl"
    monkeypatch.setattr(job_module.BulkInput, "count", lambda self: 4)
    result = score(source, out)
    assert result.exit_code == 2
    assert "4 rows were to be scored, 3 are accounted for" in result.stderr


async def test_the_window_is_never_wider_than_told_and_reads_no_further(tmp_path: Path) -> None:
    from edit_rrm_client.bulk.groups import Group, grouped
    from edit_rrm_client.bulk.inputs import open_input

    groups = list(grouped(open_input(edits_file(tmp_path, 20), tmp_path).rows()))
    read = running = widest = kept = 0

    def reading() -> Any:
        nonlocal read
        for group in groups:
            read += 1
            assert read - kept <= 3
            yield group

    async def ask(group: Group) -> Sequence[ResultRow]:
        nonlocal running, widest
        running += 1
        widest = max(widest, running)
        await asyncio.sleep(0)
        running -= 1
        return []

    def keep(rows: Sequence[ResultRow]) -> None:
        nonlocal kept
        kept += 1

    assert await score_groups(reading(), ask, keep, width=Width(3), stop=asyncio.Event())
    assert (read, kept, widest) == (20, 20, 3)


@pytest.mark.parametrize(("size", "calls"), [(1, 128), (10, 13), (64, 8)])
def test_calls_of_few_edits_are_more_calls(size: int, calls: int) -> None:
    """Eight calls of one photograph each left two engines with four jobs."""
    width = Services(urls=("http://a", "http://b")).width
    under_way = 0
    while width.has_room(under_way, under_way * size):
        under_way += 1
    assert under_way == calls
    assert Services(urls=("http://a",), concurrency=3).width == Width(3)


def test_a_job_says_whether_it_goes_on_how_long_it_took_and_what_is_next(
    tmp_path: Path, service: MockRewardServer
) -> None:
    source, out = edits_file(tmp_path, 3, candidates=2), tmp_path / "r.jsonl"
    page = tmp_path / "r.html"
    first = score(source, out, "--limit", "2").stderr
    assert "begins: 2 rows; after a stop the same command goes on" in first
    second = score(source, out).stderr
    assert "goes on: 2 of 6 rows are recorded" in second
    assert re.search(r"^took \d+ (s|min)$", second, re.M)
    assert f"look at it: edit-rrm report {out} --out {page}" in second


def test_help_teaches_with_examples() -> None:
    shown = CliRunner(env={"COLUMNS": "160"}).invoke(cli.app, ["score", "--help"]).stdout
    for words in ("edit-rrm score edits.jsonl -o results.parquet", "--retry-failed", "Exit codes"):
        assert words in shown
