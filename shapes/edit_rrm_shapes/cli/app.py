"""`edit-rrm-shapes`: the world, what is trained on it, its oracle, and the paper's claims in miniature."""

from edit_rrm.program import program
from edit_rrm_shapes.cli import oracle, reproduce_editor, reproduce_rrm, tiny_editor, tiny_rrm, world

app = program(
    "edit-rrm-shapes",
    "The miniature that tries edit-rrm out: drawn edits whose truth is known. Start with 'show'.",
    "edit-rrm-shapes",
)
for _command in (
    world.show, world.generate, world.edits, world.pairs, world.labels,
    tiny_rrm.tiny_rrm, tiny_rrm.tiny_base, tiny_rrm.evaluate,
    tiny_editor.tiny_editor,
    oracle.oracle, oracle.judge,
    reproduce_rrm.reproduce_rrm, reproduce_editor.reproduce_editor,
):  # fmt: skip
    app.command()(_command)
