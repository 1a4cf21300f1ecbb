"""`edit-rrm` at a terminal: what is printed where, and the exit codes scripts rely on."""

import json
from pathlib import Path

import httpx
import pytest
from PIL import Image
from scripted_service import (
    MODELS_JSON,
    PRINCIPLES,
    Script,
    failed,
    problem,
    read_parts,
    score_json,
    scored,
    sent_json,
)
from typer.testing import CliRunner, Result

from edit_rrm_client import RetryPolicy, RewardClient, cli

DECOMPOSED = {"id": "r", "model": "tiny@0", "principles": PRINCIPLES, "principles_from": "model"}


@pytest.fixture
def image(tmp_path: Path) -> str:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    return str(tmp_path / "a.png")


def invoke(monkeypatch: pytest.MonkeyPatch, script: Script, *arguments: str) -> Result:
    def connect(url: str, api_key: str | None, timeout_s: float) -> RewardClient:
        http = httpx.Client(transport=httpx.MockTransport(script))
        retries = RetryPolicy(attempts=2)
        return RewardClient(
            url,
            api_key=api_key,
            timeout_s=timeout_s,
            retries=retries,
            http_client=http,
            clock=script.clock,
            sleep=script.sleep,
        )

    monkeypatch.setattr(cli, "connect", connect)
    monkeypatch.setenv("COLUMNS", "120")
    return CliRunner().invoke(cli.app, arguments)


def score_one(image: str, *more: str) -> list[str]:
    return ["score-one", "--source", image, "--edited", image, "--instruction", "make it blue", *more]


def test_score_one_prints_verdicts_and_what_the_scores_are_good_for(
    monkeypatch: pytest.MonkeyPatch, image: str
) -> None:
    script = Script(httpx.Response(200, json=score_json(scored(0.62))), httpx.Response(200, json=MODELS_JSON))
    result = invoke(monkeypatch, script, *score_one(image))
    assert result.exit_code == 0
    for words in ("Is the circle blue?", "0.97", "reward 0.620", "Judges shapes and nothing else."):
        assert words in result.stdout
    assert sent_json(script.requests[0])["priority"] == "interactive"


def test_source_given_again_is_another_source(
    monkeypatch: pytest.MonkeyPatch, image: str, tmp_path: Path
) -> None:
    hat = str(tmp_path / "hat.png")
    Image.new("RGB", (8, 8), "red").save(hat)
    scored_once = httpx.Response(200, json=score_json(scored(0.62)))
    script = Script(scored_once, httpx.Response(200, json=DECOMPOSED))
    more = ["--source", hat, "--source-of-guards", "1", "--json"]
    assert invoke(monkeypatch, script, *score_one(image, *more)).exit_code == 0
    two = ["decompose", "--source", image, "--source", hat, "--instruction", "add the hat"]
    assert invoke(monkeypatch, script, *two).exit_code == 0
    for request in script.requests:
        parts, sources = read_parts(request), sent_json(request)["sources"]
        sent = [parts[source["part"]].get_payload(decode=True) for source in sources]
        assert sent == [Path(image).read_bytes(), Path(hat).read_bytes()]
    assert sent_json(script.requests[0])["source_of_guards"] == 1
    five = invoke(monkeypatch, Script(), *score_one(image, *["--source", hat] * 4))
    assert (five.exit_code, "expected 1 to 4 images, got 5" in five.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ((), None),
        (("--guards", "report"), "report"),
        (("--guards", "size=off,border=report"), {"size": "off", "border": "report"}),
    ],
)
def test_guards_are_switched_for_all_or_by_name(
    monkeypatch: pytest.MonkeyPatch, image: str, words: tuple[str, ...], sent: object
) -> None:
    script = Script(httpx.Response(200, json=score_json(scored(0.62))))
    assert invoke(monkeypatch, script, *score_one(image, "--json", *words)).exit_code == 0
    assert sent_json(script.requests[0]).get("guards") == sent


def test_json_is_the_answer_and_nothing_else(monkeypatch: pytest.MonkeyPatch, image: str) -> None:
    script = Script(httpx.Response(200, json=score_json(scored(0.62))))
    result = invoke(monkeypatch, script, *score_one(image, "--json"))
    assert json.loads(result.stdout)["results"][0]["reward"] == 0.62
    assert result.stderr == ""


def test_a_candidate_that_was_not_scored_exits_with_1(monkeypatch: pytest.MonkeyPatch, image: str) -> None:
    script = Script(httpx.Response(200, json=score_json(failed())), httpx.Response(200, json=MODELS_JSON))
    result = invoke(monkeypatch, script, *score_one(image))
    assert result.exit_code == 1
    assert "not scored trace_unparseable" in result.stdout


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (problem(502, "trace_unparseable"), 1, "because trace_unparseable"),
        (problem(504, "deadline_exceeded"), 1, "because deadline_exceeded"),
        (problem(401, "missing_key"), 2, "because missing_key"),
        (problem(422, "broken_image"), 2, "because broken_image"),
        (httpx.Response(200, text="hello"), 1, "does not fit"),
    ],
)
def test_an_error_is_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, image: str, reply: httpx.Response, code: int, words: str
) -> None:
    result = invoke(monkeypatch, Script(reply), *score_one(image))
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("edit-rrm: ")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_service_that_is_not_there_exits_with_1_and_bad_input_with_2(
    monkeypatch: pytest.MonkeyPatch, image: str
) -> None:
    script = Script(httpx.ConnectError("refused"), httpx.ConnectError("refused"))
    assert invoke(monkeypatch, script, *score_one(image)).exit_code == 1
    assert invoke(monkeypatch, Script(), *score_one("no/such.png")).exit_code == 2
    assert invoke(monkeypatch, Script(), *score_one(image, "--guards", "sometimes")).exit_code == 2
    assert invoke(monkeypatch, Script(), *score_one(image, "--url", "nonsense")).exit_code == 2


def test_principles_come_from_what_decompose_printed_or_from_a_plain_list(
    monkeypatch: pytest.MonkeyPatch, image: str, tmp_path: Path
) -> None:
    decomposed = invoke(
        monkeypatch,
        Script(httpx.Response(200, json=DECOMPOSED)),
        *("decompose", "--source", image, "--instruction", "make it blue", "--json"),
    )
    (tmp_path / "saved.json").write_text(decomposed.stdout)
    (tmp_path / "own.json").write_text('[{"question": "Is it blue?", "category": "follow"}]')
    script = Script(*[httpx.Response(200, json=score_json(scored(1.0))) for _ in range(2)])
    for name in ("saved.json", "own.json"):
        result = invoke(
            monkeypatch, script, *score_one(image, "--json", "--principles", str(tmp_path / name))
        )
        assert result.exit_code == 0
    saved, own = (sent_json(request)["principles"] for request in script.requests)
    assert saved == PRINCIPLES
    assert own == [{"id": "p1", "question": "Is it blue?", "category": "follow", "weight": 1.0}]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"question": "?"}]', '{"principles": 3}'])
def test_a_file_without_principles_says_what_was_expected(
    monkeypatch: pytest.MonkeyPatch, image: str, tmp_path: Path, content: str
) -> None:
    (tmp_path / "p.json").write_text(content)
    result = invoke(monkeypatch, Script(), *score_one(image, "--principles", str(tmp_path / "p.json")))
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "p.json" in result.stderr


def test_models_and_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(monkeypatch, Script(httpx.Response(200, json=MODELS_JSON)), "models")
    assert "tiny@0123456789ab" in result.stdout
    script = Script(problem(503, "loading"), httpx.Response(200, json={}))
    assert "ready after 0.5 s" in invoke(monkeypatch, script, "wait").stdout
    script = Script(*[problem(503, "loading") for _ in range(9)])
    result = invoke(monkeypatch, script, "wait", "--timeout", "2")
    assert result.exit_code == 1
    assert "not ready after 2 s: because loading" in result.stderr


def test_help_teaches_with_an_example() -> None:
    runner = CliRunner(env={"COLUMNS": "120"})
    assert "edit-rrm score-one --source" in runner.invoke(cli.app, ["--help"]).stdout
    assert "--samples 8" in runner.invoke(cli.app, ["score-one", "--help"]).stdout
