"""Keys from a file, what they guard, and the rule that an open service stays on this machine."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from running_service import Start
from typer.testing import CliRunner

from edit_rrm_server.process import cli
from edit_rrm_server.settings.server import ServerSettings, load_settings


def key_file(tmp_path: Path, content: str | bytes) -> Path:
    file = tmp_path / "keys.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def keys_of(settings: ServerSettings) -> list[str]:
    return [owner.key.get_secret_value() for owner in settings.all_keys]


class TestKeyFile:
    def test_one_key_a_line_between_blank_lines_and_comments(self, tmp_path: Path) -> None:
        file = key_file(
            tmp_path, "\ufeff# of the trainers\nlighthouse\n\n  wind#mill \r\n   # none here\nend"
        )
        assert keys_of(ServerSettings(api_keys_file=file)) == ["lighthouse", "wind#mill", "end"]

    def test_its_keys_are_added_to_those_of_the_variable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EDIT_RRM_API_KEYS", "first")
        monkeypatch.setenv("EDIT_RRM_API_KEYS_FILE", str(key_file(tmp_path, "second\n")))
        assert keys_of(load_settings({})) == ["first", "second"]

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "holds no key"),
            (b"# lighthouse\n\n", "holds no key"),
            (b"fine\nlighthouse # of the trainers\n", "line 2 of the key file"),
            ("lighthouße\n".encode(), "line 1 of the key file"),
            (b"\xff\xfe\x00lighthouse", "is not UTF-8"),
        ],
        ids=["empty", "only comments", "comment behind a key", "not ASCII", "not text"],
    )
    def test_a_file_that_is_wrong_is_named_and_its_keys_are_not(
        self, tmp_path: Path, content: bytes, reason: str
    ) -> None:
        file = key_file(tmp_path, content)
        with pytest.raises(ValidationError, match=reason) as caught:
            ServerSettings(api_keys_file=file)
        assert str(file) in str(caught.value)
        assert "lighthou" not in str(caught.value)

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        for file in (tmp_path / "absent", tmp_path):
            with pytest.raises(ValidationError, match="cannot read the key file") as caught:
                ServerSettings(api_keys_file=file)
            assert str(file) in str(caught.value)

    async def test_the_service_asks_for_its_keys(self, start: Start, tmp_path: Path) -> None:
        running = await start(api_keys="first", api_keys_file=key_file(tmp_path, "second\nthird\n"))
        for key, status in (("first", 200), ("third", 200), ("fourth", 403), ("Second", 403)):
            response = await running.http.get("/v1/models", headers={"Authorization": f"Bearer {key}"})
            assert response.status_code == status, key


def test_a_key_that_no_request_can_carry_is_refused_and_not_shown() -> None:
    for key in ("light house", "lighthouße"):
        with pytest.raises(ValidationError, match="without white space") as caught:
            ServerSettings(api_keys=key)
        assert "light" not in str(caught.value)


async def test_every_path_but_probes_metrics_and_the_page_needs_a_key(start: Start) -> None:
    running = await start(api_keys="right")
    statuses = {
        path: (await running.http.get(path)).status_code
        for path in ("/health", "/ready", "/metrics", "/", "/docs", "/openapi.json", "/v1/models", "/absent")
    }
    closed = {path for path, status in statuses.items() if status == 401}
    assert closed == {"/docs", "/openapi.json", "/v1/models", "/absent"}
    # Spelled otherwise, an open path is not open.
    for path in ("//health", "/health/", "/HEALTH", "/metrics/"):
        assert (await running.http.get(f"http://service{path}")).status_code == 401, path
    for path in ("/docs", "/openapi.json"):
        response = await running.http.get(path, headers={"Authorization": "Bearer right"})
        assert response.status_code == 200


async def test_metrics_need_a_key_where_the_setting_says_so(start: Start) -> None:
    running = await start(api_keys="right", metrics_need_key=True)
    assert (await running.http.get("/metrics")).json()["code"] == "missing_key"
    response = await running.http.get("/metrics", headers={"Authorization": "Bearer right"})
    assert response.status_code == 200
    assert (await running.http.get("/health")).status_code == 200


class TestBinding:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LocalHost"])
    def test_without_keys_the_service_listens_on_this_machine(self, host: str) -> None:
        assert ServerSettings(host=host).host == host

    @pytest.mark.parametrize(
        "host", ["0.0.0.0", "::", "", "192.168.0.7", "128.0.0.1", "localhost.example.com"]
    )
    def test_and_nowhere_else(self, host: str) -> None:
        with pytest.raises(ValidationError) as caught:
            ServerSettings(host=host)
        for way_out in ("EDIT_RRM_API_KEYS", "127.0.0.1", "--allow-open"):
            assert way_out in str(caught.value)

    def test_unless_there_are_keys_or_it_is_meant(self, tmp_path: Path) -> None:
        for reason in (
            {"api_keys": "right"},
            {"api_keys_file": key_file(tmp_path, "right")},
            {"allow_open": True},
        ):
            assert ServerSettings(host="0.0.0.0", **reason).host == "0.0.0.0"

    def test_a_variable_without_a_key_in_it_is_none(self) -> None:
        with pytest.raises(ValidationError, match="no key is set"):
            ServerSettings(host="0.0.0.0", api_keys=" , ")


def test_the_command_line_says_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(cli.app, ["serve", "--host", "0.0.0.0"])
    assert result.exit_code == 2
    for way_out in ("EDIT_RRM_API_KEYS", "127.0.0.1", "--allow-open"):
        assert way_out in result.output
    given = []

    def stop_here(overrides: object, file: object) -> None:
        given.append(overrides)
        raise ValidationError.from_exception_data("settings", [])

    monkeypatch.setattr(cli, "load_settings", stop_here)
    for arguments in (["--allow-open"], ["--set", "allow_open=true"]):
        CliRunner().invoke(cli.app, ["serve", "--host", "0.0.0.0", *arguments])
    assert given == [
        {"host": "0.0.0.0", "allow_open": True},
        {"host": "0.0.0.0", "allow_open": "true"},
    ]


def test_a_setting_that_would_have_no_effect_is_refused() -> None:
    for settings, named in (
        ({"metrics_need_key": True}, "metrics_need_key"),
        ({"rate_limit_burst": 5}, "rate_limit_per_s"),
        ({"max_total_body_bytes": 2048, "max_body_bytes": 4096}, "max_total_body_bytes"),
    ):
        with pytest.raises(ValidationError, match=named):
            ServerSettings(**settings)
