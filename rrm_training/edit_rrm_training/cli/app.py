"""`edit-rrm-train`: produces an Edit-RRM (data, SFT, GCPO) and measures it."""

from edit_rrm.program import program
from edit_rrm_training.cli.evaluate import evaluate, evaluate_pairs
from edit_rrm_training.cli.pairs import pairs_app
from edit_rrm_training.cli.pipeline import pipeline_app
from edit_rrm_training.cli.principles import principles
from edit_rrm_training.cli.rows import rows
from edit_rrm_training.cli.train import add_training_commands

app = program(
    "edit-rrm-train",
    "Produce and measure an Edit-RRM: pipeline (data), sft, gcpo, evaluate. docs/train-the-rrm.md goes "
    "through them; `edit-rrm-shapes` has a world to try them on.",
)
app.add_typer(pipeline_app, name="pipeline")
app.add_typer(pairs_app, name="pairs")
app.command()(principles)
app.command()(rows)
app.command()(evaluate)
app.command()(evaluate_pairs)
add_training_commands(app)
