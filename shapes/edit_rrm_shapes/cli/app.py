"""`edit-rrm-shapes`: the world, what is trained on it, its oracle, and the paper's claims in miniature."""

import typer

from edit_rrm_shapes.cli import oracle, reproduce_editor, reproduce_rrm, tiny_editor, tiny_rrm, world

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The miniature that tries edit-rrm out: drawn edits whose truth is known. Start with 'show'.",
)
for _command in (
    world.show, world.generate, world.edits, world.pairs, world.labels,
    tiny_rrm.tiny_rrm, tiny_rrm.tiny_base, tiny_rrm.evaluate,
    tiny_editor.tiny_editor,
    oracle.oracle, oracle.judge,
    reproduce_rrm.reproduce_rrm, reproduce_editor.reproduce_editor,
):  # fmt: skip
    app.command()(_command)
