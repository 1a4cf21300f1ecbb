"""Do two checkouts train alike? Ten steps of every training here, their logs compared to the last digit.

    .venv/bin/python research/same_trainings.py record runs/logs-before     # in one checkout
    .venv/bin/python research/same_trainings.py record runs/logs-after      # in the other, same machine
    .venv/bin/python research/same_trainings.py compare runs/logs-before runs/logs-after

Records SFT, GCPO with both credits, the tiny RRM's seven stages, the tiny editor's two, and the editor's
GRPO and DiffusionNFT against the served bundled model: about six minutes of two cores. Times are left out.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

BIN = Path(sys.executable).parent
TINY = ["--set", "dtype=float32", "--set", "max_trace_tokens=160", "--set", "share_prompts=true"]
GCPO = ["--set", "steps=10", "--set", "traces=4", "--set", "pairs_per_step=2", "--set", "batch_per_device=8"]
GCPO += ["--set", "lora.rank=8", "--set", "lr=1e-3", *TINY]
SMALL = ["sampling.groups=2", "sampling.group_size=4", "updates=10", "grid_every=5", "save_every=5"]
TIMES = re.compile(r"(^|/|_)(s|seconds|time|elapsed|runtime|samples_per|steps_per|hidden_share)")
app = typer.Typer()


def run(program: str, *arguments: str) -> None:
    """One command of the checkout."""
    print("==", program, *arguments[:2], flush=True)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run([str(BIN / program), *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)


@app.command()
def record(out: Annotated[Path, typer.Argument(help="Folder for inputs and runs.")]) -> None:
    """Runs every training for ten steps."""
    out.mkdir(parents=True)
    shapes, rows, pairs = out / "shapes", out / "data", out / "pairs.jsonl"
    run("edit-rrm-shapes", "generate", "--seed", "31", "--count", "60", "--out", str(shapes))
    run("edit-rrm-shapes", "pairs", "--seed", "900", "--count", "6", "--out", str(pairs))
    run("edit-rrm-shapes", "edits", "--seed", "900", "--count", "8", "--out", str(out / "edits.jsonl"))
    stages = ("look", "read", "see", "base", "sft", "polish", "find")
    steps = [word for stage in stages for word in (f"--{stage}-steps", "10")]
    run("edit-rrm-shapes", "tiny-rrm", "--out", str(out / "tiny"), *steps)
    data = [
        "--config",
        "shapes",
        "--editor",
        "shapes",
        "--per-editor",
        "4",
        "--edits",
        str(out / "edits.jsonl"),
    ]
    run("edit-rrm-train", "pipeline", "run", *data, "--out", str(rows))
    sft = [
        f"rows=[{rows}/sft/think+verify.jsonl]",
        f"out={out}/sft",
        "steps=10",
        "dtype=float32",
        "log_every=1",
    ]
    sft += [
        "optimizer=muon",
        "token_weights=shapes",
        "equal_images=true",
        "lr=1e-3",
        "base=edit-rrm-tiny-base-m",
    ]
    run("edit-rrm-train", "sft", *(word for one in sft for word in ("--set", one)))
    for credit, more in (("trace", []), ("all_scores", ["--set", "kl=0.01"])):
        chosen = ["--set", f"credit={credit}", "--set", f"pairs={pairs}", "--set", f"out={out}/gcpo-{credit}"]
        run("edit-rrm-train", "gcpo", "--set", "base=edit-rrm-tiny-sft", *GCPO, *chosen, *more)
    few = ["--steps", "10", "--vae-steps", "10"]
    run("edit-rrm-shapes", "tiny-editor", "--data", str(shapes), "--out", str(out / "tiny-editor"), *few)
    _edit_trainings(out, shapes)


def _edit_trainings(out: Path, shapes: Path) -> None:
    serving = subprocess.Popen(
        [str(BIN / "edit-rrm-server"), "serve", "--port", "8765"], stderr=(out / "serve.err").open("w")
    )
    try:
        recipe = Path("shapes/configs/tiny_editor.yaml").read_text(encoding="utf-8")
        begin, end = recipe.index("algorithm:"), recipe.index("optimizer:")
        nft = recipe[:begin] + "algorithm:\n  name: diffusion_nft\n" + recipe[end:]
        for name, text in (("grpo", recipe), ("nft", nft)):
            (out / f"{name}.yaml").write_text(text, encoding="utf-8")
            given = [f"out={out}/edit-{name}", f"data.edits=[{shapes}/edits.jsonl]", *SMALL]
            words = [word for one in given for word in ("--set", one)]
            while "ready in" not in (out / "serve.err").read_text():
                assert serving.poll() is None, "the service ended"
                time.sleep(0.5)
            run("edit-grpo", "train", str(out / f"{name}.yaml"), "--url", "http://127.0.0.1:8765", *words)
    finally:
        serving.terminate()
        serving.wait()


@app.command()
def compare(before: Path, after: Path) -> None:
    """Says of every log whether it is the same, and the first thing that differs."""
    different = 0
    for log in sorted(before.rglob("*.jsonl")):
        name = log.relative_to(before)
        pairs = zip(_lines(log), _lines(after / name), strict=False)
        first = next((_difference(one, other) for one, other in pairs if one != other), None)
        different += first is not None
        print("same" if first is None else f"DIFFERENT: {first}", name)
    raise typer.Exit(different > 0)


def _lines(log: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [{n: v for n, v in line.items() if not TIMES.search(n) and n != "text"} for line in lines]


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    return ", ".join(f"{n} {one.get(n)} → {other.get(n)}" for n in one if one.get(n) != other.get(n))


if __name__ == "__main__":
    app()
