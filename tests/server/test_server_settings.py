"""Settings: one model filled by command line, environment and file, and nothing unknown accepted."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from typer.testing import CliRunner

from edit_rrm.errors import SettingsFileError
from edit_rrm.settings_files import settings_rows
from edit_rrm_server.process.cli import app
from edit_rrm_server.settings.server import ServerSettings, load_settings, variable_of
from guide_blocks import blocks_of


def test_the_default_is_private_and_serves_the_bundled_model() -> None:
    settings = load_settings({})
    assert settings.host == "127.0.0.1"
    assert settings.model.name == "edit-rrm-tiny"
    assert settings.api_keys == ()


def test_command_line_beats_environment_beats_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("port = 1\nwindow = 2\nretries = 3\n")
    monkeypatch.setenv("EDIT_RRM_PORT", "10")
    monkeypatch.setenv("EDIT_RRM_WINDOW", "20")
    settings = load_settings({"port": 100}, file)
    assert (settings.port, settings.window, settings.retries) == (100, 20, 3)


def test_the_window_follows_the_sequences_of_a_step_unless_it_is_set() -> None:
    assert ServerSettings().engine_window == 72
    assert ServerSettings(max_num_seqs=256).engine_window == 288
    assert ServerSettings(max_num_seqs=256, window=100).engine_window == 100


def test_a_json_file_and_nested_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"guards": {"no_edit_change": 0.5}, "queue_capacity": 7}')
    settings = load_settings({}, file)
    assert (settings.guards.no_edit_change, settings.queue_capacity) == (0.5, 7)
    monkeypatch.setenv("EDIT_RRM_GUARDS__NO_EDIT_CHANGE", "0.25")
    assert load_settings({}, file).guards.no_edit_change == 0.25


def test_one_guard_is_set_from_anywhere_and_the_rest_of_the_table_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[guards]\nblank_range = 0.1\n[guards.modes]\nborder = "off"\n')
    monkeypatch.setenv("EDIT_RRM_GUARDS__MODES__SIZE", "report")
    guards = load_settings({"guards.no_edit_change": "0.02"}, file).guards
    assert (guards.no_edit_change, guards.blank_range) == (0.02, 0.1)
    assert guards.modes == {"border": "off", "size": "report"}
    with pytest.raises(ValidationError, match=r"guards\.modes"):
        load_settings({"guards.modes.sizes": "off"})


def test_keys_are_separated_by_commas_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDIT_RRM_API_KEYS", "lighthouse, windmill,")
    settings = load_settings({})
    assert [key.get_secret_value() for key in settings.api_keys] == ["lighthouse", "windmill"]
    assert "lighthouse" not in repr(settings)


def test_dialects_are_separated_by_commas_and_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings({}).dialects == ()
    monkeypatch.setenv("EDIT_RRM_DIALECTS", "unirl, flow_factory")
    assert load_settings({}).dialects == ("unirl", "flow_factory")
    for value, reason in (("unirl,openrlhf", "openrlhf|unirl"), ("unirl,unirl", "twice")):
        with pytest.raises(ValidationError, match=reason):
            load_settings({"dialects": value})
    monkeypatch.delenv("EDIT_RRM_DIALECTS")
    with pytest.raises(ValidationError, match="no effect without dialects"):
        load_settings({"dialect_wait_s": 1.0})


def test_unknown_names_are_refused_wherever_they_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValidationError):
        load_settings({"prot": 1})
    file = tmp_path / "settings.toml"
    file.write_text("prot = 1\n")
    with pytest.raises(ValidationError):
        load_settings({}, file)
    monkeypatch.setenv("EDIT_RRM_API_KEY", "the client's, not ours")
    load_settings({})
    monkeypatch.setenv("EDIT_RRM_PROT", "1")
    with pytest.raises(SettingsFileError, match="EDIT_RRM_PROT"):
        load_settings({})


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsFileError, match="cannot read"):
        load_settings({}, tmp_path / "absent.toml")


def test_every_setting_is_described() -> None:
    assert [name for name, field in ServerSettings.model_fields.items() if not field.description] == []


def test_the_command_line_names_what_is_wrong() -> None:
    for arguments, expected in (
        (["serve", "--set", "prot=1"], "prot"),
        (["serve", "--set", "prot"], "NAME=VALUE"),
        (["serve", "--port", "99999"], "port"),
        (["serve", "--config", "absent.toml"], "cannot read"),
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2
        assert expected in result.output


def test_help_and_settings_teach() -> None:
    result = CliRunner().invoke(app, ["serve", "--help"])
    assert result.exit_code == 0
    assert "--model" in result.output
    result = CliRunner().invoke(app, ["settings"], env={"COLUMNS": "200"})
    assert "EDIT_RRM_QUEUE_CAPACITY" in result.output


def test_names_are_never_cut_however_narrow_the_terminal() -> None:
    narrow = CliRunner().invoke(app, ["settings"], env={"COLUMNS": "40"}).output.splitlines()
    for name, _, _ in settings_rows(ServerSettings):
        assert any(line.startswith(name) and line.endswith(variable_of(name)) for line in narrow), name


def test_settings_are_listed_for_a_script_too() -> None:
    listed = json.loads(CliRunner().invoke(app, ["settings", "--json"]).output)
    by_name = {one["name"]: one for one in listed}
    assert by_name["guards.blank_range"]["variable"] == "EDIT_RRM_GUARDS__BLANK_RANGE"
    assert by_name["port"]["default"] == "8000"
    assert by_name["model"]["default"] == "edit-rrm-tiny"
    assert set(ServerSettings.model_fields) <= set(by_name)


def test_the_file_of_the_guide_is_read_in_every_format(tmp_path: Path) -> None:
    (block,) = (block for block in blocks_of("operations.md") if block.language == "toml")
    values = tomllib.loads(block.code)
    for suffix, text in (
        ("toml", block.code),
        ("json", json.dumps(values)),
        ("yaml", yaml.safe_dump(values)),
    ):
        file = tmp_path / f"serve.{suffix}"
        file.write_text(text)
        settings = load_settings({}, file)
        assert (settings.port, settings.queue_capacity, settings.guards.blank_range) == (8010, 8192, 0.05)
        assert settings.model.name == "edit-rrm-tiny"


def test_a_wrong_setting_is_told_with_the_nearest_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    told = CliRunner().invoke(app, ["serve", "--set", "queue_capasity=1", "--set", "api_keys=a b"])
    assert told.exit_code == 2
    assert "queue_capasity is no setting; did you mean queue_capacity?" in told.stderr
    assert "a b" not in told.stderr
    monkeypatch.setenv("EDIT_RRM_QUEUE_CAPASITY", "1")
    with pytest.raises(SettingsFileError, match="did you mean EDIT_RRM_QUEUE_CAPACITY"):
        load_settings({})


def test_a_variable_of_a_table_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDIT_RRM_ADAPTERS", "hats=runs/hats")
    with pytest.raises(SettingsFileError, match=r"adapters.*expected JSON"):
        load_settings({})


def test_the_queue_follows_the_window_where_that_is_large() -> None:
    settings = ServerSettings(allow_open=True)
    assert (settings.capacity_for(72), settings.capacity_for(2048)) == (4096, 8192)
    assert ServerSettings(queue_capacity=5).capacity_for(2048) == 5


@pytest.mark.parametrize(
    ("cores", "copies", "given", "workers"),
    [(2, 1, None, 0), (64, 1, None, 0), (64, 8, None, 8), (16, 8, None, 0), (2, 1, 3, 3), (64, 8, 0, 0)],
)
def test_front_ends_follow_copies_and_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, copies: int, given: int | None, workers: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    settings = ServerSettings(data_parallel_size=copies, front_end_workers=given)
    assert settings.front_ends() == workers
