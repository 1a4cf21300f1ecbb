"""Do transformers and the service's vLLM engine write the same greedy traces, with the same probabilities?

    .venv/bin/python benchmarks/equality.py --edits 300

float32 on both sides, the bundled checkpoint, one candidate an edit. Prints how many traces are equal,
and the largest and mean difference of verdict probabilities over the traces that are.
"""

import argparse
import asyncio
import math
from pathlib import Path

import torch
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

from edit_rrm.errors import TraceError
from edit_rrm.images import EditImage
from edit_rrm.intervals import share
from edit_rrm.prompts import ImageSlot
from edit_rrm.traces import parse_trace
from edit_rrm.verdict_probability import VERDICT_TEXTS, met_probability
from edit_rrm_server.engines.engine import Completion, SamplingSettings
from edit_rrm_server.engines.vllm.loading import load_vllm_model
from edit_rrm_server.engines.vllm.start import prepare_environment
from edit_rrm_server.scoring.warm_up import warm_up
from edit_rrm_server.settings.server import BUNDLED_MODEL, ServerSettings
from edit_rrm_shapes.tiny_rrm.tasks import verify_prompt
from edit_rrm_shapes.world.dataset import make_edit
from edit_rrm_training.data.samples import Sample, prompt_text

MAX_TOKENS = 320
BATCH = 25
Written = list[tuple[str, list[float]]]


def samples(count: int, seed: int) -> list[tuple[Sample, int]]:
    """Verification prompts with the number of their principles."""
    edits = [make_edit(seed, index, 4) for index in range(count)]
    return [
        (Sample(verify_prompt(e), (e.picture(), e.candidates[i % 4].picture()), ""), len(e.checks))
        for i, e in enumerate(edits)
    ]


async def through_vllm(checkpoint: Path, work: list[tuple[Sample, int]]) -> Written:
    """Texts and probabilities of "met", from the engine that serves."""
    settings = ServerSettings(model=checkpoint)
    prepare_environment(settings)
    model = await load_vllm_model(settings, lambda step: print(f"vLLM: {step}", flush=True), warm_up)
    draw = SamplingSettings(temperature=0.0, top_p=1.0, seed=0, max_tokens=MAX_TOKENS)

    async def one(sample: Sample) -> Completion:
        source, candidate = (EditImage.from_pil(image) for image in sample.images)
        images = {ImageSlot.SOURCE: source, ImageSlot.CANDIDATE: candidate}
        return await model.engine.generate(sample.prompt, images, draw, VERDICT_TEXTS)

    try:
        completions = await asyncio.gather(*(one(sample) for sample, _ in work))
    finally:
        await model.engine.stop()
    written = []
    for completion, (_, count) in zip(completions, work, strict=True):
        try:
            verdicts = parse_trace(completion.text, count).verdicts
        except TraceError:
            verdicts = ()
        found = [met_probability(completion.tokens, v.position) for v in verdicts if v.position is not None]
        written.append((completion.text, [math.nan if p is None else p for p in found]))
    return written


def through_transformers(checkpoint: Path, work: list[tuple[Sample, int]]) -> Written:
    """The same from `generate` of transformers, in left-padded batches."""
    processor = AutoProcessor.from_pretrained(checkpoint)
    processor.tokenizer.padding_side = "left"
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()
    zero, one, arrow = processor.tokenizer.convert_tokens_to_ids(["0", "1", "Ġ=>"])
    written: Written = []
    for start in range(0, len(work), BATCH):
        chunk = [sample for sample, _ in work[start : start + BATCH]]
        inputs = processor(
            text=[prompt_text(processor, s) for s in chunk],
            images=[image for s in chunk for image in s.images],
            return_tensors="pt", padding=True,
        )  # fmt: skip
        with torch.inference_mode():
            output = model.generate(
                **inputs, do_sample=False, max_new_tokens=MAX_TOKENS,
                return_dict_in_generate=True, output_logits=True,
            )  # fmt: skip
        tokens = output.sequences[:, inputs["input_ids"].shape[1] :]
        logits = torch.stack(output.logits, 1)  # [batch, new tokens, vocabulary]
        for row in range(len(chunk)):
            ids = tokens[row].tolist()
            places = [i + 2 for i, token in enumerate(ids) if token == arrow and i + 2 < len(ids)]
            met = [torch.softmax(logits[row, i, [zero, one]], -1)[1].item() for i in places]
            written.append((processor.tokenizer.decode(ids, skip_special_tokens=True), met))
        print(f"transformers: {len(written)} of {len(work)}", flush=True)
    return written


def main() -> None:
    """Prints the comparison; exits 1 when fewer than 99 % of the traces are equal or a probability is off."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edits", type=int, default=300)
    parser.add_argument("--seed", type=int, default=3000)
    parser.add_argument("--checkpoint", type=Path, default=BUNDLED_MODEL)
    options = parser.parse_args()
    work = samples(options.edits, options.seed)
    vllm = asyncio.run(through_vllm(options.checkpoint, work))
    transformers = through_transformers(options.checkpoint, work)
    pairs = list(zip(vllm, transformers, strict=True))
    equal = share(a[0] == b[0] for a, b in pairs)
    gaps = [abs(p - q) for a, b in pairs if a[0] == b[0] for p, q in zip(a[1], b[1], strict=False)]
    print(f"equal greedy traces: {equal}")
    mean = sum(gaps) / len(gaps)
    print(f"verdict probabilities: largest difference {max(gaps):.2e}, mean {mean:.2e}, n={len(gaps)}")
    if equal.value < 0.99 or max(gaps) > 1e-3:
        raise SystemExit("the two differ by more than they may")


if __name__ == "__main__":
    main()
