"""`edit-grpo train`: what it teaches, what it checks first, and its exit codes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from small_runs import small_settings
from typer.testing import CliRunner, Result

from edit_grpo.cli import app as cli
from edit_grpo.cli import train as cli_train
from edit_grpo.errors import DivergedError, ServiceAwayError, SettingsError
from edit_grpo.reward.settings import RewardSettings
from edit_grpo.run import training_run
from edit_grpo.run.settings import TrainSettings
from edit_grpo.run.settings_file import write_settings
from edit_rrm.wire import ScoreRequest
from edit_rrm_client import MockRewardServer, RetryPolicy, RewardClient


def answer_by_place(request: ScoreRequest) -> list[float]:
    """Rewards that differ within a group, as a preflight wants them."""
    return [0.9 - number / 100 for number in range(len(request.candidates))]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command against a mock service; `ends` is what becomes of the training itself."""
    begun: list[TrainSettings] = []

    def run(
        *arguments: str, server: MockRewardServer | None = None, ends: object = "finished", sources: int = 1
    ) -> Result:
        service = server or MockRewardServer(answer_by_place)

        def client(settings: RewardSettings) -> RewardClient:
            http = httpx.Client(transport=service)
            return RewardClient(http_client=http, retries=RetryPolicy(attempts=1))

        def fake(settings: TrainSettings, check: Callable[[int], None]) -> object:
            check(sources)
            begun.append(settings)
            if isinstance(ends, Exception):
                raise ends
            return ends

        monkeypatch.setattr(cli_train, "blocking_client", client)
        monkeypatch.setattr(training_run, "run_training", fake)
        monkeypatch.setenv("COLUMNS", "200")
        file = tmp_path / "run.yaml"
        write_settings(small_settings(tmp_path), file)
        return CliRunner().invoke(cli.app, ["train", str(file), *arguments])

    run.begun = begun  # type: ignore[attr-defined]
    return run


def test_sampling_asks_first_whether_it_can_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    words = ["sample", "--checkpoint", "none", "--edits", str(tmp_path), "--out", str(tmp_path / "file")]
    ended = CliRunner().invoke(cli.app, words, env={"COLUMNS": "1000"})
    assert ended.exit_code == 2
    assert "is a file, not a folder" in ended.output


def test_the_help_teaches_a_first_run_and_names_the_exit_codes() -> None:
    text = CliRunner().invoke(cli.app, ["train", "--help"], env={"COLUMNS": "200"}).output
    for words in (
        "edit-rrm-server serve",
        "edit-grpo train tiny_editor",
        "accelerate launch",
        "0 finished",
        "4 stopped by a signal",
    ):
        assert words in text


def test_the_settings_are_listed_with_what_they_do() -> None:
    result = CliRunner().invoke(cli.app, ["train", "--settings"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for words in (
        "sampling.group_size",
        "algorithm.beta",
        "weight of the KL to the reference policy",
        "reward.patience_s",
    ):
        assert words in result.output


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ("finished", 0),
        (SettingsError("x"), 2),
        (ServiceAwayError("the service is away", 9.0), 3),
        ("stopped", 4),
        (DivergedError("x"), 5),
    ],
)
def test_every_ending_has_its_exit_code(train: Callable[..., Result], ends: object, code: int) -> None:
    result = train(ends=ends)
    assert result.exit_code == code
    if isinstance(ends, Exception):
        assert f"edit-grpo: {ends}" in result.stderr


def test_the_service_is_checked_before_anything_is_loaded(train: Callable[..., Result]) -> None:
    result = train()
    assert "reward model mock@000000000000" in result.output
    assert len(train.begun) == 1  # type: ignore[attr-defined]


def test_a_service_whose_rewards_do_not_differ_is_not_trained_against(train: Callable[..., Result]) -> None:
    result = train(server=MockRewardServer(0.5))
    assert result.exit_code == 1
    assert "rewards differ" in result.stderr
    assert train.begun == []  # type: ignore[attr-defined]
    assert train("--no-preflight", server=MockRewardServer(0.5)).exit_code == 0


def test_a_judge_that_takes_fewer_sources_than_an_edit_has_is_not_trained_against(
    train: Callable[..., Result],
) -> None:
    assert train(sources=4).exit_code == 0  # as many as the mock says that it takes
    result = train(sources=5)
    assert result.exit_code == 1
    assert "sources: an edit has 5, and this judge takes 4" in result.stderr


@pytest.mark.parametrize(("status", "code"), [(401, 2), (503, 3), (502, 1)])
def test_a_service_that_refuses_is_told_from_one_that_is_away(
    train: Callable[..., Result], status: int, code: int
) -> None:
    server = MockRewardServer(answer_by_place)
    server.fail(status, times=None)
    assert train(server=server).exit_code == code


def test_the_command_line_goes_before_the_file(train: Callable[..., Result]) -> None:
    assert train("--set", "updates=9", "--url", "http://a:1", "--url", "http://b:2").exit_code == 0
    (settings,) = train.begun  # type: ignore[attr-defined]
    assert settings.updates == 9
    assert settings.reward.urls == ("http://a:1", "http://b:2")


def test_wrong_settings_are_named(train: Callable[..., Result]) -> None:
    result = train("--set", "sampling.grups=9")
    assert result.exit_code == 2
    assert "sampling.grups is no setting; did you mean sampling.groups?" in result.stderr


def test_the_command_line_loads_no_torch_until_a_run_begins() -> None:
    code = "import sys, edit_grpo.cli.app; sys.exit('torch' in sys.modules or 'accelerate' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
