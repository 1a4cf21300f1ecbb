"""What does a training step cost at real sizes on one GPU, and where does the time go?

    .venv/bin/python benchmarks/gpu_training.py [--out FOLDER] [--part sft --part kontext] [--steps 2]
    .venv/bin/python benchmarks/gpu_training.py --tiny    # every part small, on a CPU: does the script work?

Real steps of the product's own trainers from its own configs, with random weights in the shapes of the
published models: SFT and GCPO of a Qwen2.5-VL-3B (LoRA, bfloat16; GCPO's rollouts by
transformers), GRPO of FLUX.1-Kontext (12 billion parameters) and of Qwen-Image-Edit (20 billion). Nothing is
downloaded, and scoring takes no time. An editor has as many layers as fit; a part that runs out of memory all
the same is tried once more with half of them. Every part has a process and a time limit of its own, and what
it measured is printed and written (FOLDER/gpu_training.json) as it ends; its output is in FOLDER/NAME.log.
The first step of each is not counted. Under eight minutes on one H200, by the limits.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rig.processes import end_on_sigterm
from rig.report import console, progress, say_machine

LIMITS_S = {"sft": 100.0, "gcpo": 120.0, "kontext": 100.0, "qwen-image-edit": 150.0}
"""Of each part, in the order in which they run."""
EDITORS = ("kontext", "qwen-image-edit")
OUT_OF_MEMORY = 75  # rig/measure_part.py, EXIT_OUT_OF_MEMORY
HERE = Path(__file__).parent


def run_part(name: str, out: Path, limit_s: float, options: list[str]) -> dict[str, Any]:
    """One part in a process of its own: what it measured, or in `failed` why it measured nothing."""
    result = out / f"{name}.json"
    result.unlink(missing_ok=True)
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if "--tiny" in options else {}
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as work, (out / f"{name}.log").open("ab") as log:
        command = [sys.executable, "-m", "rig.measure_part", name, "--work", work, "--result", str(result)]
        process = subprocess.Popen(
            [*command, *options], stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", **hidden},
        )  # fmt: skip
        try:
            code = process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    found: dict[str, Any] = {"part": name, "took_s": round(time.monotonic() - began_s, 1)}
    if code == 0:
        measured: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found | measured
    reasons = {None: f"not done after {limit_s:.0f} s", OUT_OF_MEMORY: "out of memory"}
    return found | {"failed": reasons.get(code, f"exit code {code}: see {name}.log")}


def say(found: dict[str, Any]) -> None:
    """A part's table, or why there is none."""
    if "failed" in found:
        console.print(f"{found['part']}: {found['failed']}", style="red", markup=False)
        return
    console.print(f"{found['what']}; {found['parameters'] / 1e6:,.1f} million parameters, {found['device']}")
    table = Table("where the time goes", "s a step", "share", "peak GiB")
    for name, seconds in found["seconds"].items():
        peak = found["peak_of"].get(name)
        shown = "" if peak is None else f"{peak:.1f}"
        table.add_row(name, f"{seconds:.2f}", f"{seconds / found['seconds_a_step']:.0%}", shown)
    table.add_section()
    table.add_row(
        f"a step (mean of {found['steps']})", f"{found['seconds_a_step']:.2f}", "", f"{found['peak_gib']:.1f}"
    )
    console.print(table)


def main(
    out: Annotated[
        Path, typer.Option(envvar="OUT", help="Folder for gpu_training.json and the parts' output.")
    ] = Path("runs/gpu-training"),
    part: Annotated[list[str] | None, typer.Option(help=f"Only these of {', '.join(LIMITS_S)}.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps measured of each, after one that is not.")] = 2,
    budget_s: Annotated[float, typer.Option(help="Seconds of all parts; what is left out says so.")] = 470.0,
    tiny: Annotated[
        bool, typer.Option(help="Small models, on the CPU: shows that the script works.")
    ] = False,
) -> None:
    """Prints and writes, part by part, seconds a step, where they go, and peak memory."""
    end_on_sigterm()
    unknown = sorted(set(part or ()) - LIMITS_S.keys())
    if unknown:
        raise typer.BadParameter(f"there is no part {', '.join(unknown)}; there are {', '.join(LIMITS_S)}")
    out.mkdir(parents=True, exist_ok=True)
    ends_s = time.monotonic() + budget_s
    written: dict[str, Any] = {
        "began": datetime.now(UTC).isoformat(timespec="seconds"), "tiny": tiny, "parts": [],
    }  # fmt: skip
    options = ["--steps", str(steps), *(["--tiny"] if tiny else [])]
    for name in part or LIMITS_S:
        for share in (1.0, 0.5):
            left_s = ends_s - time.monotonic()
            if not tiny:
                left_s = min(LIMITS_S[name], left_s)
            progress.print(f"{name}, at most {max(0.0, left_s):.0f} s")
            if left_s > 0.0:
                found = run_part(name, out, left_s, [*options, "--share", str(share)])
            else:
                found = {"part": name, "failed": "no time was left (--budget-s)"}
            say(found)
            written["parts"].append(found)
            file = out / "gpu_training.json"
            file.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
            if name not in EDITORS or found.get("failed") != "out of memory":
                break
    say_machine()
    if any("failed" in found for found in written["parts"]):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
