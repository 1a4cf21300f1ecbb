"""What would training at real sizes take on GPUs of 80 GB? Arithmetic, not a measurement.

    .venv/bin/python benchmarks/gpu_estimates.py [--gpus 8]

The formulas are those of `rig/estimates.py`, the step sizes those of rrm_training/configs and
edit_training/configs. `benchmarks/gpu_training.py` measures steps on a GPU.
"""

from pathlib import Path
from typing import Annotated

import typer
import yaml
from rig.estimates import KONTEXT, QWEN_IMAGE, RRMS, Editor, Rrm
from rig.report import console

RANK = 64
ROW_TOKENS = 2_600
"""Two pictures of 768 pixels 1,500, principles 500, a trace 600."""
GROUP_TOKENS = 2_000 + 8 * 600
"""A prompt that eight traces share."""
CONFIGS = Path(__file__).parents[1] / "edit_training" / "configs"


def rrm_row(model: Rrm, rank: int | None, gpus: int) -> str:
    """A line of the table of RRMs: SFT of 128 rows, GCPO of 32 pairs × 2 × 8 traces."""
    memory = model.held(rank, gpus), model.activations(4 * ROW_TOKENS), model.activations(GROUP_TOKENS)
    held, sft, gcpo = (f"{each / 1e9:.1f}" for each in memory)
    sft_s = model.update_s(128 * ROW_TOKENS, gpus)
    gcpo_s = model.update_s(64 * GROUP_TOKENS, gpus, corrected=True)
    kind = "full" if rank is None else f"LoRA {rank}"
    return f"| {model.name}, {kind} | {held} | {sft} | {gcpo} | {sft_s:.0f} | {gcpo_s:.0f} |"


def editor_row(model: Editor, file: str, gpus: int) -> str:
    """A line of the table of editors, by one of our configs."""
    config = yaml.safe_load((CONFIGS / file).read_text(encoding="utf-8"))
    sampling, policy = config["sampling"], config["policy"]
    guided = policy.get("true_cfg_scale", 1.0) > 1.0
    trained = config["algorithm"].get("window", {}).get("size", sampling["steps"] - 1)
    held, work = model.held(policy["lora"]["rank"]), model.activations(sampling["micro_batch"], guided)
    candidates = sampling["groups"] * sampling["group_size"]
    update_s = model.update_s(candidates, sampling["steps"], trained, guided, gpus)
    return (
        f"| `{file}` | {held / 1e9:.0f} | {work / 1e9:.1f} | {candidates} | {update_s / 60:.1f} | "
        f"{update_s * config['updates'] / 3600:.0f} |"
    )


def main(gpus: Annotated[int, typer.Option(min=1, help="GPUs that share the work.")] = 8) -> None:
    """Prints both tables as Markdown."""
    lines = [
        f"On {gpus} GPUs, estimated:", "",
        "| RRM | weights, optimiser, GB | activations: SFT, GB | GCPO, GB | SFT step, s | GCPO update, s |",
        "|---|---|---|---|---|---|",
        *(rrm_row(model, rank, gpus) for model in RRMS for rank in (RANK, None)), "",
        "| editor's config | weights, optimiser, GB | activations, GB | candidates | update, min | run, h |",
        "|---|---|---|---|---|---|",
        *(editor_row(KONTEXT, f"flux_kontext_{kind}.yaml", gpus) for kind in ("recommended", "paper")),
        *(editor_row(QWEN_IMAGE, f"qwen_image_edit_{kind}.yaml", gpus) for kind in ("recommended", "paper")),
    ]  # fmt: skip
    console.print("\n".join(lines), markup=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
