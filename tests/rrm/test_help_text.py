"""Examples in a help text stand in fences, however they were indented; prose stays prose."""

from edit_rrm.help_text import with_fences


def test_what_is_indented_stands_in_one_fence_with_its_own_indentation() -> None:
    text = """Do it.

    Like this:

        for i in 1 2; do edit-rrm score [$i] \\
            --out $i; done

        cat *.jsonl

    Then this.
    """
    assert with_fences(text) == (
        "Do it.\n\nLike this:\n\n"
        "```\nfor i in 1 2; do edit-rrm score [$i] \\\n    --out $i; done\n\ncat *.jsonl\n```\n\nThen this."
    )


def test_a_paragraph_of_commands_alone_is_one_too_whatever_its_indentation() -> None:
    text = "Choose.\n\nedit-rrm best-of r.parquet -n 8 \\\n    -o best.parquet"
    assert with_fences(text) == "Choose.\n\n```\nedit-rrm best-of r.parquet -n 8 \\\n    -o best.parquet\n```"
    assert with_fences("Example: edit-rrm-shapes show --seed 7") == (
        "Example:\n\n```\nedit-rrm-shapes show --seed 7\n```"
    )


def test_a_sentence_that_begins_with_a_command_is_prose() -> None:
    sentence = "edit-rrm-server takes it."
    assert with_fences(sentence) == sentence
