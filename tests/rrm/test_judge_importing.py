"""Importing others' judges: their texts put together as they do it, and nothing of theirs executed."""

import tomllib
from pathlib import Path

import pytest
from foreign_checkouts import IMGEDIT, write_checkouts

from edit_rrm.errors import JudgeError
from edit_rrm.judges.importing import IMPORTERS, import_judge
from edit_rrm.judges.judge import Written
from edit_rrm.judges.spec import judge_spec
from edit_rrm.judges.toml_text import judge_toml
from edit_rrm.judges.written import WrittenJudge
from edit_rrm.prompts import ImageSlot

INSTRUCTION = "make it {blue}"
CONTEXT = 'Look at the pictures. Answer in this way:\n{\n"score" : [...],\n}\n'
RULE = "Two pictures: before and after.\n"
WORKING = [
    name for name in IMPORTERS if not name.startswith("imgedit-") or name.removeprefix("imgedit-") == "style"
]


@pytest.fixture
def checkouts(tmp_path: Path) -> Path:
    write_checkouts(tmp_path)
    return tmp_path


def judge(checkouts: Path, name: str) -> WrittenJudge:
    folder = IMPORTERS[name].repository.split("/")[1]
    return WrittenJudge(import_judge(name, checkouts / folder))


def asked(judge: WrittenJudge) -> list[list[str]]:
    """Of each ask every part of its last message, images by their slots' names in angle brackets."""
    return [
        [f"<{part.value}>" if isinstance(part, ImageSlot) else part for part in ask.prompt.messages[-1].parts]
        for ask in judge.asks(INSTRUCTION, (), 1)
    ]


def scores(judge: WrittenJudge, *texts: str) -> tuple[float, float]:
    """Reward and score."""
    asks = judge.asks(INSTRUCTION, (), 1)
    readings = [judge.read(ask, Written(text, ()), ()) for ask, text in zip(asks, texts, strict=True)]
    found = judge.judgement(readings, (), "model_score")
    return found.reward, found.score


@pytest.mark.parametrize("name", WORKING)
def test_an_imported_judge_survives_its_file(checkouts: Path, name: str) -> None:
    spec = judge(checkouts, name).spec
    assert spec.name == name
    assert "sha256" in spec.about
    assert str(checkouts) not in judge_toml(spec)
    assert judge_spec(tomllib.loads(judge_toml(spec)), "x") == spec


@pytest.mark.parametrize("name", WORKING)
def test_an_imported_judge_needs_no_principles(checkouts: Path, name: str) -> None:
    assert not judge(checkouts, name).needs_principles


def test_editscore_rescales_its_texts_to_25(checkouts: Path) -> None:
    semantics = (
        f"{CONTEXT}\n{RULE}\nFrom 0 to 25, how well, {{braces}} and all? 25 is best.\n"
        f"Asked for: {INSTRUCTION}\n"
    )
    quality = f"{CONTEXT}\nFrom 0 to 25, how clean? 25 is best.\n"
    editscore = judge(checkouts, "editscore")
    assert asked(editscore) == [["<source>", "<candidate>", semantics], ["<candidate>", quality]]
    assert asked(judge(checkouts, "editscore-qwen2.5-vl")) == [
        ["<img1>: ", "<source>", "<img2>: ", "<candidate>", semantics],
        ["<img1>: ", "<candidate>", quality],
    ]
    assert editscore.sampling.model_dump(exclude_none=True) == {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 20,
        "max_tokens": 512,
    }
    # √((10 / 2.5) · (22.5 / 2.5)) = √(4 · 9) = 6 of 10
    assert scores(editscore, '{"score": [10, 20]}', '{"score": [25, 22.5]}') == pytest.approx((0.6, 6.0))


def test_viescore_puts_the_text_first_and_gedit_the_images(checkouts: Path) -> None:
    semantics = (
        f"{CONTEXT}\n{RULE}\nFrom 0 to 10, how well, {{braces}} and all? 10 is best.\n"
        f"Asked for: {INSTRUCTION}\n"
    )
    quality = f"{CONTEXT}\nFrom 0 to 10, how clean? 10 is best.\n"
    viescore = judge(checkouts, "viescore")
    assert asked(viescore) == [[semantics, "<source>", "<candidate>"], [quality, "<candidate>"]]
    assert asked(judge(checkouts, "gedit")) == [
        ["<source>", "<candidate>", semantics],
        ["<candidate>", quality],
    ]
    assert scores(viescore, '{"score": [4, 9]}', '{"score": [9, 10]}') == pytest.approx((0.6, 6.0))


def test_unifiedreward_is_read_out_of_two_scripts(checkouts: Path) -> None:
    unified = judge(checkouts, "unifiedreward-edit")
    semantics = f'Two pictures, 0 to 25:\n{{\n"score" : [...],\n}}\nAsked for:{INSTRUCTION}\n'
    assert asked(unified) == [
        ["<source>", "<candidate>", semantics],
        ["<candidate>", "One picture, 0 to 25.\n"],
    ]
    assert unified.asks("x", (), 1)[0].prompt.template_arguments == (("enable_thinking", False),)


def test_rationalrewards_shows_images_where_its_marks_stand(checkouts: Path) -> None:
    rational = judge(checkouts, "rationalrewards-edit")
    assert asked(rational) == [
        [
            f"Asked for: {INSTRUCTION}\n1. Before ",
            "<source>",
            "\n2. After ",
            "<candidate>",
            "\nJudge. \n\nAnswer so:\n1. Text Faithfulness:\n## Score: [ {number} ]",
        ]
    ]
    system = rational.asks("x", (), 1)[0].prompt.messages[0]
    assert system.parts == ("You judge edits. Then refine {nothing}.",)
    answer = (
        "1. Text Faithfulness:\n## Score: 4.0\n2. Image Faithfulness:\n## Score: 1.0\n"
        "3. Physical and Visual Quality:\n## Score: 2.5\n4. Text Rendering:\n## Score: N/A"
    )
    assert scores(rational, answer)[0] == 0.75  # the mean of 1 and 0.5: image faithfulness is not in it
    assert scores(rational, answer.replace("N/A", "1.0"))[0] == 0.5


def test_firm_weighs_execution_by_consistency(checkouts: Path) -> None:
    firm = judge(checkouts, "firm-edit")
    form = '{\n"score" : [1/2/3/4/5]\n}\n'
    assert asked(firm) == [
        ["<source>", "<candidate>", f"\nAsked for: {INSTRUCTION}\nIs it done? {form}"],
        ["<source>", "<candidate>", f"\nAsked for: {INSTRUCTION}\nWhat else changed? {form}"],
    ]
    # 4/5 · (0.6 + 0.4 · 3/5)
    assert scores(firm, '{"score": [4]}', '{"score": [3]}')[0] == pytest.approx(0.8 * 0.84)
    assert scores(firm, '{"score": [5]}', '{"score": [5]}')[0] == pytest.approx(1.0)


def test_the_digit_judge_leaves_the_requirement_empty(checkouts: Path) -> None:
    digit = judge(checkouts, "edit-r1")
    assert asked(digit) == [["<source>", "<candidate>", f"Asked for: {INSTRUCTION}\nNeeded: \n0-5"]]
    assert digit.asks("x", (), 1)[0].watched[:2] == ("0", " 0")


def test_imgedit_takes_its_labels_from_the_prompt(checkouts: Path) -> None:
    style = judge(checkouts, "imgedit-style")
    text = str(IMGEDIT["style"]).replace("<edit_prompt>", INSTRUCTION)
    assert asked(style) == [[text, "<source>", "<candidate>"]]
    assert style.spec.reward == "mean(style_kept, content_layout, looks_right)"
    assert {name: category.value for name, category in style.categories.items()} == {
        "style_kept": "follow",
        "content_layout": "keep",
        "looks_right": "quality",
    }
    assert scores(style, "Style Kept: 5\nContent & Layout: 3\nLooks Right: 4")[0] == 0.75


def test_a_package_s_own_folder_is_found_too(checkouts: Path) -> None:
    inside = import_judge("editscore", checkouts / "EditScore" / "editscore")
    assert inside.version == judge(checkouts, "editscore").version


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("editscore", "has no editscore/vie_prompts.py, nor vie_prompts.py"),
        ("unifiedreward-edit", "has no UnifiedReward-Edit/edit_pointwise_instruction_following.py"),
        ("rationalrewards-edit", "has no diffusion_rl_training/train_qwen_edit_rationalrewards.py"),
        ("firm-edit", "has no editing/reward_server/prompt_template.py"),
        ("viescore", "has no viescore/vie_prompts.py"),
        ("gedit", "has no GEdit-Bench/viescore/vie_prompts.py"),
        ("edit-r1", "has no reward_server/prompt_template.py"),
        ("imgedit-add", "has no Benchmark/Basic/prompts.json"),
    ],
)
def test_another_layout_is_told_with_the_file_that_was_expected(
    tmp_path: Path, name: str, words: str
) -> None:
    with pytest.raises(JudgeError) as caught:
        import_judge(name, tmp_path)
    assert words in str(caught.value)
    with pytest.raises(JudgeError, match="is no folder; expected one with"):
        import_judge(name, tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "words"),
    [
        (
            "editscore",
            "vie_prompts.py",
            "_prompts_0shot_rule_PQ",
            "renamed",
            "does not assign _prompts_0shot_rule_PQ",
        ),
        ("editscore", "vie_prompts.py", "<instruction>", "it", "has no <instruction>"),
        ("editscore", "vie_prompts.py", '"""Two', 'f"""{x}Two', "is an f-string"),
        ("editscore", "vie_prompts.py", '"""Two', 'len("Two")+"""', "is no plain text (line 8)"),
        ("editscore", "vie_prompts.py", '"""Gen', "class def", "cannot read"),
        ("viescore", "vie_prompts.py", '"""Gen', '"""\0', "cannot read"),
        (
            "unifiedreward-edit",
            "edit_pointwise_quality.py",
            '"One',
            'f"{instruction}One',
            "fills in instruction",
        ),
        (
            "unifiedreward-edit",
            "edit_pointwise_instruction_following.py",
            "{instruction}",
            "",
            "fills in nothing",
        ),
        (
            "rationalrewards-edit",
            "train_qwen_edit_rationalrewards.py",
            "After <image>",
            "",
            "1 times <image>",
        ),
        (
            "rationalrewards-edit",
            "train_qwen_edit_rationalrewards.py",
            "{request}",
            "",
            "has no field {request}",
        ),
        ("firm-edit", "prompt_template.py", "{prompt}\nIs", "{prompt!r}\nIs", "has a field {prompt}"),
        (
            "firm-edit",
            "prompt_template.py",
            "{prompt}\nIs",
            "{words}\nIs",
            "a field {words}; known are prompt",
        ),
        ("firm-edit", "prompt_template.py", "}}", "}", "is no template"),
        ("edit-r1", "prompt_template.py", "{requirement}", "", "has no field {requirement}"),
        ("imgedit-style", "prompts.json", "<edit_prompt>", "", "has no <edit_prompt>"),
        ("imgedit-style", "prompts.json", "{", "", "cannot read"),
        ("imgedit-style", "prompts.json", "Looks Right: A", "Looks Right: Any", "asks for 2 numbers"),
    ],
)
def test_another_version_of_their_file_is_refused_by_its_place(
    checkouts: Path, name: str, file: str, old: str, new: str, words: str
) -> None:
    (found,) = (checkouts / IMPORTERS[name].repository.split("/")[1]).rglob(file)
    text = found.read_text()
    assert old in text
    found.write_text(text.replace(old, new, 1))
    with pytest.raises(JudgeError) as caught:
        judge(checkouts, name)
    assert words in str(caught.value)
    assert str(found) in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("add", "asks for 1 numbers"),
        ("remove", "has no prompt 'remove'"),
        ("action", "has no prompt 'action'"),
    ],
)
def test_a_kind_of_edit_without_its_three_lines_is_refused(checkouts: Path, kind: str, words: str) -> None:
    with pytest.raises(JudgeError, match=words):
        judge(checkouts, f"imgedit-{kind}")


def test_a_name_that_no_importer_has_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match="no importer is called 'hpsv3'; there are editscore, "):
        import_judge("hpsv3", tmp_path)


def test_what_a_file_does_beside_its_texts_never_happens(checkouts: Path, tmp_path: Path) -> None:
    file = checkouts / "Edit-R1" / "reward_server" / "prompt_template.py"
    ran = tmp_path / "ran"
    file.write_text(f"open({str(ran)!r}, 'w')\nimport nothing_such\n{file.read_text()}")
    assert judge(checkouts, "edit-r1").name == "edit-r1"
    assert not ran.exists()


def test_a_file_too_large_for_prompts_is_refused(checkouts: Path) -> None:
    file = checkouts / "Edit-R1" / "reward_server" / "prompt_template.py"
    file.write_text(file.read_text() + "#" * 4_000_000)
    with pytest.raises(JudgeError, match="has more than 4000000 bytes"):
        judge(checkouts, "edit-r1")
