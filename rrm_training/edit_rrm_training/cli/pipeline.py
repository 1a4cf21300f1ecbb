"""`edit-rrm-train pipeline`: the Stage 1 data pipeline, one resumable command a step."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from edit_rrm.errors import EditRRMError
from edit_rrm_training.cli.terminal import console, failed, progress_bars, writable_file, writable_folder
from edit_rrm_training.errors import TrainingError

pipeline_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="From instructions to SFT rows: decompose, candidates, reason, verify, select. Every step may be "
    "killed at any moment and goes on when it is run again; what failed is in OUT's .failed.jsonl, with why.",
)
Config = Annotated[str, typer.Option(help="TOML, YAML or JSON file, or the name of a registered one.")]
Out = Annotated[Path, typer.Option(help="JSONL file to write, or to go on with.", callback=writable_file)]
RetryFailed = Annotated[bool, typer.Option(help="Forget the failures of earlier runs and try them again.")]
Editors = Annotated[
    list[str],
    typer.Option("--editor", help="folder=PATH, flux-kontext, qwen-image-edit (=WEIGHTS) or registered."),
]
OnDone = Callable[[], None]


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _run(name: str, total: Callable[[], int], step: Callable[[OnDone], Coroutine[Any, Any, Any]]) -> None:
    """Runs a step under a bar and prints its report; a TrainingError becomes a message and exit status 1."""
    try:
        with progress_bars() as progress:
            bar = progress.add_task(name, total=total())
            report = asyncio.run(step(lambda: progress.advance(bar)))
    except (TrainingError, EditRRMError, OSError) as error:
        raise failed(f"{name}: {error}") from error
    console.print(f"{name}: {report}", markup=False, soft_wrap=True)


@pipeline_app.command("hard-subset")
def hard_subset_command(
    edits: Annotated[Path, typer.Option(help="EditRow JSONL.", exists=True)],
    out: Out,
    hard: Annotated[
        int | None, typer.Option(min=0, help="At most so many hard ones; all without it.")
    ] = None,
    others: Annotated[int, typer.Option(min=0, help="So many drawn at random from the rest.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """Keep the edits whose instruction is multi-step, fine, implicit or spatial, and some others."""
    from edit_rrm_training.data.jsonl import write_rows
    from edit_rrm_training.pipeline.hard_subset import hard_subset
    from edit_rrm_training.pipeline.journal import read_unique
    from edit_rrm_training.pipeline.rows import EditRow

    try:
        kept = hard_subset(read_unique(edits, EditRow), hard, others, seed)
    except (TrainingError, OSError) as error:
        raise failed(error) from error
    write_rows(out, kept)
    console.print(f"{len(kept)} of {_lines(edits)} edits in {out}")


@pipeline_app.command("decompose")
def decompose_command(
    edits: Annotated[Path, typer.Option(help="EditRow JSONL.")],
    out: Out,
    config: Config,
    retry_failed: RetryFailed = False,
) -> None:
    """Step 1: (source, instruction) to principles, validated against the category counts."""
    from edit_rrm_training.pipeline.decompose import decompose
    from edit_rrm_training.pipeline.settings import read_settings

    async def step(on_done: OnDone) -> object:
        return await decompose(read_settings(config), edits, out, retry_failed=retry_failed, on_done=on_done)

    _run("decompose", lambda: _lines(edits), step)


@pipeline_app.command("candidates")
def candidates_command(
    edits: Annotated[Path, typer.Option(help="What decompose wrote.")],
    out: Out,
    editor: Editors,
    per_editor: Annotated[int, typer.Option(min=1, help="Candidates per edit and editor.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the editors.")] = 0,
    batch: Annotated[
        int,
        typer.Option(
            min=1, help="Candidates of an edit that a pipeline makes at once; more take more memory."
        ),
    ] = 1,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only part I of N, into a file of its own: one process a GPU."),
    ] = None,
    retry_failed: RetryFailed = False,
) -> None:
    """Step 2: editors make candidates; new pictures go to candidates/ beside OUT.

    On eight GPUs, one editor in each; then the parts become one file:

        for i in 1 2 3 4 5 6 7 8; do CUDA_VISIBLE_DEVICES=$((i-1)) edit-rrm-train pipeline candidates \\
            --edits decomposed.jsonl --editor kontext --out quadruples.jsonl --shard $i/8 & done; wait

        cat quadruples.*-of-8.jsonl > quadruples.jsonl
    """
    from edit_rrm.quiet_libraries import quieten_loading
    from edit_rrm.shard import Shard

    quieten_loading()
    from edit_rrm_training.pipeline.candidates import candidates
    from edit_rrm_training.pipeline.editors import open_editor

    try:
        part = Shard.parse(shard) if shard else Shard()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shard") from None

    async def step(on_done: OnDone) -> object:
        editors = [open_editor(spec) for spec in editor]
        return await candidates(
            editors,
            per_editor,
            seed,
            edits,
            out,
            batch=batch,
            shard=part,
            retry_failed=retry_failed,
            on_done=on_done,
        )

    def count() -> int:
        return sum(1 for _ in part.of(range(_lines(edits)))) * len(editor) * per_editor

    _run("candidates", count, step)
    if part.count > 1:
        console.print(f"when all {part.count} parts are done: {part.join(out)}", soft_wrap=True, markup=False)


@pipeline_app.command("reason")
def reason_command(
    quadruples: Annotated[Path, typer.Option(help="What candidates wrote.")],
    out: Out,
    config: Config,
    retry_failed: RetryFailed = False,
) -> None:
    """Step 3: the pool of teachers writes several traces per quadruple."""
    from edit_rrm_training.pipeline.reason import reason
    from edit_rrm_training.pipeline.settings import read_settings

    async def step(on_done: OnDone) -> object:
        return await reason(
            read_settings(config), quadruples, out, retry_failed=retry_failed, on_done=on_done
        )

    _run("reason", lambda: _lines(quadruples) * read_settings(config).reason.traces, step)


@pipeline_app.command("verify")
def verify_command(
    quadruples: Annotated[Path, typer.Option(help="What candidates wrote.")],
    traces: Annotated[Path, typer.Option(help="What reason wrote.")],
    out: Out,
    config: Config,
    retry_failed: RetryFailed = False,
) -> None:
    """Step 4: the verifier writes gold verdicts, with the traces before it."""
    from edit_rrm_training.pipeline.settings import read_settings
    from edit_rrm_training.pipeline.verify import verify

    async def step(on_done: OnDone) -> object:
        return await verify(
            read_settings(config), quadruples, traces, out, retry_failed=retry_failed, on_done=on_done
        )

    _run("verify", lambda: _lines(quadruples), step)


@pipeline_app.command("select")
def select_command(
    decomposed: Annotated[Path, typer.Option(help="What decompose wrote.")],
    quadruples: Annotated[Path, typer.Option(help="What candidates wrote.")],
    traces: Annotated[Path, typer.Option(help="What reason wrote.")],
    gold: Annotated[Path, typer.Option(help="What verify wrote.")],
    out: Annotated[
        Path,
        typer.Option(
            help="Directory for think, verify, think+verify, score-only, decompose.", callback=writable_folder
        ),
    ],
    seed: Annotated[int, typer.Option(help="Of the random trace of 'think'.")] = 0,
) -> None:
    """Step 5: SFT rows of every variant, by the paper's rule."""
    from edit_rrm_training.pipeline.selecting import select

    async def step(on_done: OnDone) -> object:
        return select(quadruples, traces, gold, decomposed, out, seed=seed, on_done=on_done)

    _run("select", lambda: _lines(quadruples), step)


@pipeline_app.command("run")
def run_all(
    edits: Annotated[Path, typer.Option(help="EditRow JSONL.")],
    out: Annotated[
        Path, typer.Option(help="Directory for every step's file and sft/.", callback=writable_folder)
    ],
    config: Config,
    editor: Editors,
    per_editor: Annotated[int, typer.Option(min=1, help="Candidates per edit and editor.")] = 1,
    retry_failed: RetryFailed = False,
) -> None:
    """All five steps, one after the other, each going on where it was.

        edit-rrm-train pipeline run --config pipeline.toml --editor flux-kontext --per-editor 4 \\
            --edits edits.jsonl --out runs/data
    """
    from edit_rrm_training.pipeline.settings import read_settings

    decomposed, quadruples, traces, gold = (
        out / f"{name}.jsonl" for name in ("decomposed", "quadruples", "traces", "gold")
    )
    decompose_command(edits, decomposed, config, retry_failed)
    seed = read_settings(config).seed
    candidates_command(decomposed, quadruples, editor, per_editor, seed, retry_failed=retry_failed)
    reason_command(quadruples, traces, config, retry_failed)
    verify_command(quadruples, traces, gold, config, retry_failed)
    select_command(decomposed, quadruples, traces, gold, out / "sft", seed)
