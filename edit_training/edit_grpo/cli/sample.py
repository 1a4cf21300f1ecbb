"""`edit-grpo sample`: an editor, trained or plain, carries out an edit list or a benchmark."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edit_rrm.errors import OutputError
from edit_rrm.outputs import check_output_folder
from edit_rrm.quiet_libraries import quieten_loading
from edit_rrm.shard import Shard
from edit_rrm_client import EditRRMClientError
from edit_rrm_client.tables import told

if TYPE_CHECKING:
    from edit_grpo.data.asked import AskedEdits
    from edit_grpo.trained.finding import Dtype

Benchmark = Literal["gedit", "imgedit"]
EXIT_SOME_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
STEPS = 28
_NOT_OF_PICTURES = {"name", "adapter", "lora", "gradient_checkpointing", "text_encoders"}
console = Console()


def writable_folder(out: Path) -> Path:
    """The folder, if something can be written there."""
    try:
        check_output_folder(out)
    except OutputError as error:
        raise typer.BadParameter(str(error)) from error
    return out


def _part(text: str) -> Shard:
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Checkpoint = Annotated[
    str,
    typer.Option(
        help="A run (its final/, or else its newest checkpoint), a checkpoint, an adapter of a run, a "
        "diffusers pipeline's folder, or a registered editor."
    ),
]
Adapter = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a trained adapter, or of LoRA weights as diffusers has them, for a pipeline."
    ),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or cuda:1. Default: a GPU if there is one.")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the policy, such as true_cfg_scale=4; a run has its own.",
    ),
]


def sample(
    checkpoint: Checkpoint,
    edits: Annotated[
        Path,
        typer.Option(
            help="A .jsonl, .csv or .parquet file with `instruction`, `source` and perhaps `id`, `category`; "
            "a folder with edits.jsonl; or the benchmark's files.",
            exists=True,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="Folder for ID.png and edits.jsonl, or to go on with.", callback=writable_folder),
    ],
    adapter: Adapter = None,
    benchmark: Annotated[
        Benchmark | None,
        typer.Option(help="EDITS is a local copy of GEdit-Bench or ImgEdit-Bench as published; see below."),
    ] = None,
    originals: Annotated[
        Path | None, typer.Option(help="Folder of imgedit's originals. Default: the JSON's.", exists=True)
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=YOURS", help="Your name for a column, such as source=input_image."),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of a CSV file; found if not given.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Only the first edits.")] = None,
    per_edit: Annotated[
        int, typer.Option(min=1, max=64, help="Pictures of each edit: ID.png, ID-1.png, …")
    ] = 1,
    steps: Annotated[
        int | None, typer.Option(min=1, help=f"ODE steps. Default: those of the run, or {STEPS}.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the noise, with the edit's id and the picture's number.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Pictures of one size that are sampled at once.")] = 4,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only part I of N, into the same folder: one process a GPU."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What edits.jsonl calls the editor. Default: its folder.")
    ] = None,
    sheet: Annotated[int, typer.Option(min=1, help="Edits on contact-sheet.png.")] = 24,
    changes: Changes = None,
    device: Device = None,
    dtype: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(help="Default: float32 on a CPU, else the run's, or bfloat16."),
    ] = None,
) -> None:
    """Let an editor carry out edits. The same command goes on after a stop; what is there is not made again.

    A run's editor, four pictures an edit; the base that it began from:

        edit-grpo sample --checkpoint runs/kontext --edits edits.jsonl --out runs/kontext-out --per-edit 4

        edit-grpo sample --checkpoint FLUX.1-Kontext-dev --edits edits.jsonl --out runs/base-out --steps 28

    On eight GPUs, a part each; then once more without --shard for one edits.jsonl:

        for i in 1 2 3 4 5 6 7 8; do CUDA_VISIBLE_DEVICES=$((i-1)) edit-grpo sample --shard $i/8 \\
            --checkpoint runs/kontext --edits edits.jsonl --out runs/kontext-out & done; wait

    Benchmarks, from local copies, under the names that their own scripts want:

        edit-grpo sample --checkpoint runs/kontext --benchmark gedit --edits GEdit-Bench/data \\
            --out kontext-gedit

        edit-grpo sample --checkpoint runs/kontext --benchmark imgedit --edits Benchmark/singleturn \\
            --out kontext-imgedit

    **OUT** holds the pictures, `edits.jsonl` for `edit-rrm score`, `failures.jsonl` if any, `sources/` where
    the editor saw a source in another size, `contact-sheet.png` and `sample.json`, which says what made them.

    **Exit codes**: 0 all made, 1 some edits failed, 2 wrong input, 130 interrupted.
    """
    from edit_grpo.errors import EditTrainingError

    part = _part(shard) if shard else Shard()
    quieten_loading()
    try:
        import torch

        from edit_grpo.policies.loading import folder_of
        from edit_grpo.trained.drawing import Drawing
        from edit_grpo.trained.finding import find_editor, load_editor
        from edit_grpo.trained.folder import MadeBy, SampleJob, claim, weights_mark
        from edit_grpo.trained.sampling import count_missing, sample_edits

        where = device or ("cuda" if torch.cuda.is_available() else "cpu")
        usual: Dtype | None = "float32" if where == "cpu" else None
        found = find_editor(checkpoint, adapter, changes or (), dtype=dtype or usual)
        asked = _asked(edits, out, benchmark, originals, column or [], encoding)
        drawing = Drawing(steps or found.steps or STEPS, seed, batch)
        job = SampleJob(asked, out, name or found.name, drawing, per_edit, count, part, sheet)
        claim(
            out,
            MadeBy(
                editor=checkpoint,
                policy=found.policy.model_dump(mode="json", exclude=_NOT_OF_PICTURES),
                weights=weights_mark(
                    folder_of(found.policy.name), *filter(None, (found.policy.adapter, found.lora))
                ),
                steps=drawing.steps,
                seed=seed,
                edits=asked.digest(),
            ),
        )
        missing = count_missing(job)
        with _progress() as progress:
            bar = progress.add_task("pictures", total=missing)
            report = sample_edits(job, lambda: load_editor(found, where), lambda: progress.advance(bar))
    except (EditTrainingError, EditRRMClientError, OSError) as error:
        typer.echo(f"edit-grpo: {told(error)}", err=True)
        raise typer.Exit(EXIT_BAD_INPUT) from error
    except KeyboardInterrupt as error:
        console.print("interrupted; the same command goes on from here")
        raise typer.Exit(EXIT_INTERRUPTED) from error
    console.print(
        f"{report.made} pictures made, {report.there_before} were there, {report.failed} failed, in {out}",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    for line in [*report.reasons, f"all: {job.failures_file}"] if report.failed else []:
        console.print(line, markup=False, style="red", soft_wrap=True)
    for line in next_commands(benchmark, edits, job.edits_file, part):
        console.print(line, markup=False, soft_wrap=True, highlight=False)
    if report.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _asked(
    edits: Path,
    out: Path,
    benchmark: Benchmark | None,
    originals: Path | None,
    columns: list[str],
    encoding: str | None,
) -> "AskedEdits":
    from edit_grpo.data.asked import open_edit_list
    from edit_grpo.data.benchmarks import open_benchmark

    if benchmark is None:
        if originals is not None:
            raise typer.BadParameter("it is of --benchmark imgedit", param_hint="--originals")
        return open_edit_list(edits, out, _renamed(columns), encoding)
    if columns or encoding:
        raise typer.BadParameter("a benchmark has its own columns", param_hint="--column, --encoding")
    return open_benchmark(benchmark, edits, originals, out)


def next_commands(benchmark: str | None, edits: Path, listed: Path, part: Shard) -> list[str]:
    """What a person does with the pictures next."""
    if part.count > 1:
        return [
            f"when all {part.count} parts are done: the same command without --shard writes one edits.jsonl"
        ]
    scores = listed.parent.with_name(f"{listed.parent.name}.scores.parquet")
    if benchmark is None:
        return [f"next: edit-rrm score {listed} -o {scores}"]
    if benchmark == "imgedit":
        kind, of_kind = (
            listed.with_name("edits.add.jsonl"),
            scores.with_name(f"{listed.parent.name}.add.parquet"),
        )
        return [
            f"next, for each kind and its judge: edit-rrm score {kind} -o {of_kind} --guards report",
            f"then: edit-rrm bench imgedit {listed.parent}.*.parquet --edits {edits}",
        ]
    return [
        f"next, with the benchmark's judge: edit-rrm score {listed} -o {scores} --guards report",
        f"then: edit-rrm bench gedit {scores} --edits {edits}",
    ]


def _renamed(options: list[str]) -> dict[str, str]:
    renamed = {}
    for option in options:
        mine, equals, theirs = option.partition("=")
        if not (mine and equals and theirs):
            raise typer.BadParameter(f"expected NAME=YOURS, got {option!r}", param_hint="--column")
        renamed[mine] = theirs
    return renamed


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
