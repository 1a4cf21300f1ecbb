"""The steps on the shapes world: whole, killed and resumed, with failures kept, and over real HTTP."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from openai_test_server import BAD_TEXT, DOWN, GARBLED, REFUSED, OpenAITestServer

from edit_rrm.judges import get_profile
from edit_rrm.prompts import ImageSlot
from edit_rrm.traces import parse_trace
from edit_rrm_shapes.teachers.editor import ShapesEditor
from edit_rrm_shapes.world.labels import label_shares
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_shapes.world.rows import shapes_edit_rows
from edit_rrm_training.data.jsonl import write_rows
from edit_rrm_training.data.sft_rows import read_sft_rows
from edit_rrm_training.errors import StepError, TrainingError
from edit_rrm_training.pipeline.candidates import candidates
from edit_rrm_training.pipeline.decompose import decompose
from edit_rrm_training.pipeline.journal import read_unique
from edit_rrm_training.pipeline.prompts import STANCES, with_reviews, with_stance
from edit_rrm_training.pipeline.reason import reason, teachers_of
from edit_rrm_training.pipeline.rows import FailedRow, GoldRow, Quadruple, TraceRow
from edit_rrm_training.pipeline.selecting import SelectReport, select
from edit_rrm_training.pipeline.settings import (
    CategoryCounts,
    PipelineSettings,
    TeacherSettings,
    read_settings,
)
from edit_rrm_training.pipeline.verify import verify
from guide_blocks import blocks_of

SETTINGS = read_settings("shapes")
WORLD, COUNT, PER_EDIT = 51, 12, 3


def nothing() -> None:
    """Progress nobody watches."""


async def run(
    home: Path, settings: PipelineSettings = SETTINGS, on_done: Callable[[], None] = nothing
) -> SelectReport:
    """All five steps in a directory that holds edits.jsonl."""
    edits, decomposed, quadruples, traces, gold = (
        home / f"{name}.jsonl" for name in ("edits", "decomposed", "quadruples", "traces", "gold")
    )
    await decompose(settings, edits, decomposed, on_done=on_done)
    await candidates([ShapesEditor()], PER_EDIT, 0, decomposed, quadruples, on_done=on_done)
    await reason(settings, quadruples, traces, on_done=on_done)
    await verify(settings, quadruples, traces, gold, on_done=on_done)
    return select(quadruples, traces, gold, decomposed, home / "sft", seed=settings.seed)


def files(home: Path) -> dict[str, bytes]:
    return {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_rows(tmp_path / "edits.jsonl", shapes_edit_rows(WORLD, COUNT))
    return tmp_path


async def test_the_pipeline_ends_in_rows_that_can_be_learned(home: Path) -> None:
    report = await run(home)
    assert report.left_out == 0
    assert report.quadruples == COUNT * PER_EDIT
    assert report.think_verify_agreement > report.think_agreement + 0.05
    for name in ("think", "verify", "think+verify"):
        rows = list(read_sft_rows(home / "sft" / f"{name}.jsonl"))
        assert len(rows) == COUNT * PER_EDIT
        assert all(parse_trace(row.completion, len(row.principles or ())) for row in rows)
        assert {row.selection for row in rows} == {name}
    assert len(list(read_sft_rows(home / "sft" / "score-only.jsonl"))) == COUNT * PER_EDIT
    profile = get_profile("trained")
    for row in read_sft_rows(home / "sft" / "decompose.jsonl"):
        assert profile.parse_principles(row.completion)
    assert not [name for name in files(home) if name.endswith(".png")]  # nothing was drawn


async def test_the_labels_are_as_right_as_the_variant_promises(home: Path) -> None:
    await run(home)
    shares = {
        name: label_shares(read_sft_rows(home / "sft" / f"{name}.jsonl"))
        for name in ("think", "verify", "think+verify")
    }
    right = {name: found["right verdicts, all"].value for name, found in shares.items()}
    assert right["think"] < 0.9 < right["think+verify"] <= right["verify"] + 0.02
    # The mode of a random trace is wrong where something changed that nobody asked for.
    assert shares["think"]["right verdicts, keep, not met"].value < 0.5
    assert shares["think+verify"]["right verdicts, keep, not met"].value > 0.8
    with pytest.raises(TrainingError, match="not a verification"):
        label_shares(read_sft_rows(home / "sft" / "decompose.jsonl"))


async def test_running_again_changes_nothing_and_asks_nobody(home: Path) -> None:
    await run(home)
    before = files(home)
    report = await reason(SETTINGS, home / "quadruples.jsonl", home / "traces.jsonl")
    assert (report.written, report.usage.requests) == (0, 0)
    await run(home)
    assert files(home) == before


class KilledError(Exception):
    """Stands for the process's death."""


async def test_a_pipeline_killed_at_any_row_ends_with_the_same_files(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await run(home)
    other = tmp_path_factory.mktemp("killed")
    (other / "edits.jsonl").write_bytes((home / "edits.jsonl").read_bytes())
    kills = 0
    while True:
        steps = 0

        def die() -> None:
            nonlocal steps
            steps += 1
            if steps > 29:
                raise KilledError

        try:
            await run(other, on_done=die if kills < 5 else nothing)
            break
        except KilledError:
            kills += 1
            newest = max(other.glob("*.jsonl"), key=lambda p: p.stat().st_mtime_ns)
            with newest.open("ab") as file:
                file.write(b'{"id": "torn')
    assert kills == 5
    assert files(other) == files(home)


async def test_a_decomposition_outside_the_counts_is_kept_with_its_reason(home: Path) -> None:
    counts = SETTINGS.decompose.model_copy(
        update={"counts": CategoryCounts(quality=(3, 3), follow=(1, 9), keep=(1, 9))}
    )
    settings = SETTINGS.model_copy(update={"decompose": counts})
    out = home / "decomposed.jsonl"
    report = await decompose(settings, home / "edits.jsonl", out)
    assert (report.written, report.failed) == (0, COUNT)
    failed = list(read_unique(home / "decomposed.failed.jsonl", FailedRow))
    assert {row.id for row in failed} == {f"{WORLD}-{n}" for n in range(COUNT)}
    assert all("expected 3 to 3 principles of category quality, got 2" in row.reason for row in failed[:3])
    assert all(row.text and row.usage.requests == 3 for row in failed)
    # They stay failed until they are to be tried again.
    assert (await decompose(SETTINGS, home / "edits.jsonl", out)).written == 0
    assert (await decompose(SETTINGS, home / "edits.jsonl", out, retry_failed=True)).written == COUNT


async def test_quadruples_without_gold_or_traces_are_left_out_of_every_variant(home: Path) -> None:
    await run(home)
    first = next(read_unique(home / "quadruples.jsonl", Quadruple)).id
    gold = [row for row in read_unique(home / "gold.jsonl", GoldRow) if row.id != first]
    write_rows(home / "gold.jsonl", gold)
    report = select(*(home / f"{n}.jsonl" for n in ("quadruples", "traces", "gold", "decomposed")),
                    home / "sft", seed=0)  # fmt: skip
    assert (report.quadruples, report.left_out) == (COUNT * PER_EDIT - 1, 1)
    (row,) = read_unique(home / "sft" / "left-out.jsonl", FailedRow)
    assert (row.id, row.reason) == (first, "no gold verdicts")


def test_every_teacher_comes_once_before_any_comes_twice() -> None:
    settings = SETTINGS.model_copy(update={"reason": SETTINGS.reason.model_copy(update={"traces": 7})})
    names = [teacher.name for teacher in teachers_of(settings, "q1")]
    assert sorted(names[:5]) == sorted(teacher.name for teacher in SETTINGS.teachers)
    assert names[5:] == names[:2]
    assert teachers_of(settings, "q1") == teachers_of(settings, "q1") != teachers_of(settings, "q2")


def test_a_stance_and_the_reviewers_notes_frame_the_prompt_without_moving_the_images() -> None:
    quadruple = Quadruple.model_validate_json(json.dumps({
        "id": "q", "edit": "e", "instruction": "make it blue", "source": "s", "candidate": "c", "editor": "x",
        "principles": [{"id": "p1", "question": "Is it blue?", "category": "follow"}],
    }))  # fmt: skip
    prompt = get_profile("zero_shot").verify(quadruple.instruction, quadruple.principles)
    trace = TraceRow(id="q#0", quadruple="q", number=0, teacher="t", verdicts=(False,),
                     evidence=("it is <score>10</score> red",), score=2.0)  # fmt: skip
    reviewed = with_reviews(prompt, [trace])
    assert reviewed.slots == prompt.slots
    user = reviewed.messages[-1].parts
    assert user.index(ImageSlot.CANDIDATE) == len(user) - 2
    assert "Reviewer 1, score 2.0: (1) it is < score>10< /score> red: 0" in str(user[-1])
    assert with_reviews(prompt, []) == prompt
    assert with_stance(prompt, "plain") == prompt
    assert STANCES["doubting"] in str(with_stance(prompt, "doubting").messages[0].parts[-1])


def over_http(url: str, **settings: object) -> PipelineSettings:
    """The shapes configuration with each endpoint a model of one server."""
    data = SETTINGS.model_dump()
    data["endpoints"] = {
        name: {"kind": "openai", "base_url": url, "model": role["role"], "initial_back_off_s": 0.001,
               "max_back_off_s": 0.002, "concurrency": 2, **settings}
        for name, role in data["endpoints"].items()
    }  # fmt: skip
    return PipelineSettings.model_validate(data)


async def test_over_http_the_pipeline_writes_the_rows_it_writes_in_process(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Faults on the way are worked around, and cost nothing but time."""
    write_rows(home / "edits.jsonl", shapes_edit_rows(WORLD, 3))
    other = tmp_path_factory.mktemp("http")
    (other / "edits.jsonl").write_bytes((home / "edits.jsonl").read_bytes())
    await run(home)
    pictures = [ShapesRef(WORLD, n, c) for n in range(3) for c in (None, *range(PER_EDIT))]
    with OpenAITestServer(pictures, [GARBLED, None, DOWN, None, None] * 30) as server:
        # Sixty faults in all: more attempts than that, and no row can meet nothing but faults.
        report = await run(other, over_http(server.url, attempts=61))
        assert server.statuses.count(503) == 30
    assert report.quadruples == 3 * PER_EDIT
    for name in ("think", "verify", "think+verify", "score-only", "decompose"):
        assert (other / "sft" / f"{name}.jsonl").read_bytes() == (home / "sft" / f"{name}.jsonl").read_bytes()


async def test_a_row_the_endpoint_cannot_answer_fails_alone(home: Path) -> None:
    pictures = [ShapesRef(WORLD, n) for n in range(COUNT)]
    with OpenAITestServer(pictures, [BAD_TEXT] * 3) as server:
        report = await decompose(
            over_http(server.url, concurrency=1), home / "edits.jsonl", home / "out.jsonl"
        )
    assert (report.written, report.failed) == (COUNT - 1, 1)
    (row,) = read_unique(home / "out.failed.jsonl", FailedRow)
    assert (row.id, row.kind, row.text) == (f"{WORLD}-0", "AnswerError", "I would rather not.")


async def test_a_step_gives_up_when_the_endpoint_refuses_everything(home: Path) -> None:
    write_rows(home / "edits.jsonl", shapes_edit_rows(WORLD, 40))
    pictures = [ShapesRef(WORLD, n) for n in range(40)]
    with OpenAITestServer(pictures, [REFUSED] * 40) as server:
        settings = over_http(server.url, concurrency=1)
        with pytest.raises(StepError, match="20 rows in a row"):
            await decompose(settings, home / "edits.jsonl", home / "out.jsonl")
        assert len(server.requests) == 20
        server.faults.clear()
        report = await decompose(settings, home / "edits.jsonl", home / "out.jsonl", retry_failed=True)
    assert (report.written, report.failed_before) == (40, 0)


def test_a_configuration_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    good = (Path(__file__).parents[2] / "shapes/edit_rrm_shapes/teachers/pipeline.toml").read_text()
    for bad, complaint in (
        (good.replace('[verify]\nendpoint = "verifier"', '[verify]\nendpoint = "nobody"'), "nobody"),
        (good.replace("[reason]", "[reason]\ntrace = 3"), "trace"),
        (good.replace('role = "strict"', 'role = "stern"'), "stern"),
        (good.replace("[reason", "[reason]]"), "pipeline.toml"),
    ):
        assert bad != good
        path.write_text(bad)
        with pytest.raises(StepError, match=complaint):
            read_settings(str(path))
    with pytest.raises(ValueError, match="unknown stance"):
        TeacherSettings(name="t", endpoint="e", stance="grumpy")


def test_exemplars_come_from_a_pool_beside_the_configuration(tmp_path: Path) -> None:
    exemplar = {
        "category": "tone transformation", "instruction": "make it dusk", "source": "A harbour at noon.",
        "follow": ["Is it dusk?", "Is the sky dim?", "Are lamps lit?"],
        "keep": ["Same boats?", "Same pier?", "Same houses?"], "quality": ["No halos?", "No noise?"],
    }  # fmt: skip
    (tmp_path / "pool.json").write_text(json.dumps([exemplar]))
    text = (Path(__file__).parents[2] / "shapes/edit_rrm_shapes/teachers/pipeline.toml").read_text()
    text = text.replace('profile = "trained"', 'profile = "zero_shot"')
    text = text.replace("[decompose]", '[decompose]\npool = "pool.json"\nexemplars = 1')
    (tmp_path / "pipeline.toml").write_text(text)
    prompt = read_settings(str(tmp_path / "pipeline.toml")).prompt_profile().decompose("make it blue", seed=5)
    assert "A harbour at noon." in str(prompt)
    assert str(prompt).count("Example ") == 1

    (tmp_path / "pipeline.toml").write_text(text.replace("exemplars = 1", "exemplars = 2"))
    with pytest.raises(StepError, match="has 1 exemplars, not 2"):
        read_settings(str(tmp_path / "pipeline.toml")).prompt_profile()
    (tmp_path / "pool.json").write_text("[{}]")
    with pytest.raises(StepError, match=r"pool\.json"):
        read_settings(str(tmp_path / "pipeline.toml")).prompt_profile()


def test_the_guide_s_configuration_is_one(tmp_path: Path) -> None:
    (block,) = (block for block in blocks_of("rrm-data.md") if block.language == "toml")
    path = tmp_path / "p.toml"
    path.write_text(block.code)
    settings = read_settings(str(path))
    assert sorted(settings.endpoints) == ["large", "small"]
    assert [teacher.endpoint for teacher in settings.teachers] == ["large", "small"]
    assert settings.decompose.pool == tmp_path / "exemplars.json"
    assert settings.reason.traces == 4
