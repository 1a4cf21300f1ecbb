"""Settings of the editor's training: one model, filled by file and command line."""

from pathlib import Path

import pytest

from edit_grpo.algorithms.settings import GrpoSettings, NftSettings
from edit_grpo.errors import SettingsError
from edit_grpo.run.settings import TrainSettings
from edit_grpo.run.settings_file import check_resumable, load_settings, write_settings
from edit_rrm.settings_files import settings_rows

CONFIGS = Path(__file__).parents[2] / "edit_training" / "configs"
DOCS = Path(__file__).parents[2] / "docs"
LEAST = [
    "out=runs/x",
    "policy.name=shapes-editor",
    "data.edits=[edits.jsonl]",
    "updates=10",
    "grid_every=null",
]


def least(*more: str) -> TrainSettings:
    return load_settings(None, [*LEAST, *more])


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_loads(file: Path) -> None:
    load_settings(file, [])


@pytest.mark.parametrize("name", ["flux_kontext_paper", "qwen_image_edit_paper"])
def test_the_paper_s_configs_hold_the_paper_s_numbers(name: str) -> None:
    settings = load_settings(CONFIGS / f"{name}.yaml", [])
    assert settings.sampling.group_size == 24
    assert isinstance(settings.algorithm, GrpoSettings)
    assert (settings.algorithm.beta, settings.algorithm.sde, settings.algorithm.window.size) == (
        0.04, "flow_grpo", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "flux_kontext_recommended",
        "flux2_klein_recommended",
        "qwen_image_edit_recommended",
        "qwen_image_edit_2509_recommended",
        "qwen_image_edit_2511_recommended",
    ],
)
def test_the_recommended_configs_train_two_or_three_cps_steps(name: str) -> None:
    algorithm = load_settings(CONFIGS / f"{name}.yaml", []).algorithm
    assert isinstance(algorithm, GrpoSettings)
    assert algorithm.sde == "cps"
    assert algorithm.window.size in (2, 3)


def test_the_command_line_goes_before_the_file_and_reaches_into_sections(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        "out: a\nupdates: 5\npolicy: {name: p, lora: {rank: 8}}\ndata: {edits: [e], held_out: h}\n"
    )
    settings = load_settings(file, ["policy.lora.alpha=16", "updates=7", "optimizer.lr=1e-5"])
    assert (settings.updates, settings.optimizer.lr) == (7, 1e-5)
    assert settings.policy.lora is not None
    assert (settings.policy.lora.rank, settings.policy.lora.alpha) == (8, 16)


def test_json_is_read_as_well(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(
        '{"out": "a", "updates": 5, "policy": {"name": "p"}, "data": {"edits": ["e"], "held_out": "h"}}'
    )
    assert load_settings(file, []).updates == 5


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("nonsense=1", "nonsense: Extra inputs"),
        ("sampling.group=4", "sampling.group: Extra inputs"),
        ("algorithm={name: diffusion_nft, beta: 0.1}", "beta: Extra inputs"),
        ("algorithm={name: ppo}", "ppo"),
        ("reward.category_weights={follow: 2}", "no effect on shape service"),
        ("grid_every=5", "grids need data.held_out"),
        ("optimizer.minibatches=3", "must be a multiple of optimizer.minibatches"),
        ("algorithm.window.size=10", "no window of 10"),
        ("algorithm={name: grpo, sde: cps, eta: 1.5}", "eta of cps"),
        ("updates", "expected NAME=VALUE"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(assignment: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        least(assignment)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(SettingsError, match="must hold a table of settings"):
        load_settings(tmp_path / "list.yaml", [])
    with pytest.raises(SettingsError, match="cannot read"):
        load_settings(tmp_path / "missing.yaml", [])


def test_the_algorithm_s_name_chooses_its_section() -> None:
    assert least("algorithm={name: diffusion_nft, points: 2}").algorithm == NftSettings(points=2)


def test_every_setting_is_documented() -> None:
    rows = list(settings_rows(TrainSettings))
    assert [name for name, _, text in rows if not text and "." in name and not name.endswith(".name")] == []
    names = {name for name, _, _ in rows}
    assert {"sampling.group_size", "algorithm.window.size", "algorithm.mix", "policy.lora.rank"} <= names


def test_the_reference_says_of_every_setting_what_it_is() -> None:
    """And is what the code says: tests/docs/test_settings_pages.py."""
    page = (DOCS / "reference" / "edit-grpo-settings.md").read_text(encoding="utf-8")
    names = {name for name, _, _ in settings_rows(TrainSettings)}
    assert sorted(name for name in names if f"- `{name}`" not in page) == []


def test_the_note_says_of_every_setting_what_raising_it_does() -> None:
    note = (DOCS / "notes" / "editor-settings.md").read_text(encoding="utf-8")
    rows = [name for name, _, _ in settings_rows(TrainSettings)]
    leaves = [name for name in rows if not any(other.startswith(f"{name}.") for other in rows)]
    names = {name.rpartition(".")[2] for name in leaves}
    assert sorted(name for name in names if f"`{name}`" not in note and f".{name}`" not in note) == []


def test_settings_survive_a_file(tmp_path: Path) -> None:
    settings = least("reward.shape=gated", "reward.category_weights={keep: 2}")
    write_settings(settings, tmp_path / "settings.yaml")
    assert load_settings(tmp_path / "settings.yaml", []) == settings


@pytest.mark.parametrize(
    ("assignment", "same"),
    [
        ("updates=20", True),
        ("reward.urls=[http://other:8000]", True),
        ("reward.overlap=false", True),
        ("optimizer.lr=0.5", False),
        ("reward.shape=gated", False),
        ("seed=1", False),
        ("algorithm={name: diffusion_nft}", False),
    ],
)
def test_a_run_is_continued_only_if_it_stays_the_same_run(assignment: str, same: bool) -> None:
    if same:
        check_resumable(least(), least(assignment))
        return
    with pytest.raises(SettingsError, match=assignment.partition("=")[0]):
        check_resumable(least(), least(assignment))


def test_a_schedule_that_ends_with_the_run_fixes_its_length() -> None:
    cosine = "optimizer.schedule=cosine"
    with pytest.raises(SettingsError, match="updates"):
        check_resumable(least(cosine), least(cosine, "updates=20"))


def test_no_key_can_stand_in_the_settings() -> None:
    """They are written to OUT and into logs: the key is named by its variable."""
    assert [name for name, _, _ in settings_rows(TrainSettings) if "key" in name] == ["reward.api_key_env"]
