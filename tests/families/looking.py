"""Families looked at in a process of their own, and what of one is not as it must be."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from families.checkpoints import FAMILIES

LIMIT_S = 540.0
_SCRIPT = Path(__file__).with_name("seen.py")
_BLOCK_TOKENS = 32
_STEP_TOKENS = 2048


def look_at(keys: Sequence[str], directory: Path) -> dict[str, dict[str, Any]]:
    """What seen.py saw of each family; its log is a file in `directory`."""
    log = directory / "families.log"
    with log.open("wb") as errors:
        done = subprocess.run(
            [sys.executable, str(_SCRIPT), str(directory), *keys],
            stdout=subprocess.PIPE,
            stderr=errors,
            timeout=LIMIT_S * len(keys),
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
    if done.returncode != 0:
        raise AssertionError(f"one of {', '.join(keys)} did not come up:\n{log.read_text()[-3000:]}")
    lines = done.stdout.splitlines()[-len(keys) :]
    return dict(zip(keys, map(json.loads, lines), strict=True))


def problems(key: str, seen: dict[str, Any]) -> list[str]:
    """What is not as it must be for this family; nothing, if all is well."""
    family = FAMILIES[key]
    return [
        *_images(seen),
        *_texts(seen, images_first=family.images_first),
        *_head(seen),
        *_verdicts(seen["tokens"]),
        *_sharing(seen, hybrid=family.hybrid, images_first=family.images_first),
        *_long_and_sampled(seen),
        *_lengths(seen),
        *_thinking(seen["thinking"], thinks=family.hybrid),
    ]


def _images(seen: dict[str, Any]) -> list[str]:
    """Two pictures of two sizes, then the other way round: so are their tokens; the darker stays first."""
    found = []
    if seen["turned_image_tokens"] != seen["image_tokens"][::-1]:
        found.append(
            f"images of {seen['image_tokens']} tokens became {seen['turned_image_tokens']} turned round"
        )
    dark, light = seen["brightness"]
    if not dark < light:
        found.append(f"the first image is the darker one, and came as {dark} and {light}")
    return found


def _texts(seen: dict[str, Any], *, images_first: bool) -> list[str]:
    before, between, after = seen["texts"]
    moved = any("moves images" in warning for warning in seen["warnings"])
    if moved != images_first:
        return [f"moved images: {images_first}, warned of: {moved}"]
    if images_first:
        return [] if "make the circle blue" in after and not between.strip() else ["images are not first"]
    placed = (
        "You verify image edits" in before
        and "make the circle blue" in between
        and between.rstrip().endswith("The edited image:")
    )
    return [] if placed else [f"texts around the images: {seen['texts']}"]


def _head(seen: dict[str, Any]) -> list[str]:
    """What the tokenizer writes before a text stands there once, whoever wrote it."""
    head, first = seen["head_ids"], seen["first_ids"]
    if first[: len(head)] != head:
        return [f"prompts begin {first}, not with {head}"]
    if head and first[len(head) : 2 * len(head)] == head[: len(first) - len(head)]:
        return [f"prompts begin with {head} twice"]
    return []


def _verdicts(tokens: list[dict[str, Any]]) -> list[str]:
    """Every digit has a probability, of its own spelling against the other digit in the same one."""
    found = []
    digits = [token for token in tokens if token["text"].strip() in ("0", "1")]
    if not digits:
        found.append("no verdict was written")
    for token in digits:
        text = token["text"]
        other = token["alternatives"].get(text.translate({ord("0"): "1", ord("1"): "0"}))
        shown = [token["logprob"], *token["alternatives"].values()]
        if other is None or sum(map(math.exp, shown)) > 1.0 + 1e-4:
            found.append(f"{text!r} was shown with {token['alternatives']}")
            continue
        one, zero = (token["logprob"], other) if text.strip() == "1" else (other, token["logprob"])
        if not math.isclose(token["met"], 1 / (1 + math.exp(zero - one)), rel_tol=1e-6):
            found.append(f"{text!r} is met by {token['met']} with {zero} and {one}")
    return found


def _sharing(seen: dict[str, Any], *, hybrid: bool, images_first: bool) -> list[str]:
    warned = any("share less" in warning for warning in seen["warnings"])
    if warned != (hybrid or images_first):
        return [f"lessened sharing: {hybrid or images_first}, warned of: {warned}"]
    if not warned and min(seen["cached"][1:]) < seen["shareable_tokens"] - _BLOCK_TOKENS:
        return [f"of {seen['shareable_tokens']} tokens {seen['cached']} came from the cache"]
    return []


def _long_and_sampled(seen: dict[str, Any]) -> list[str]:
    """A prompt of several steps, drawn at temperature 1: nobody dies, and the seed decides."""
    if seen["long_prompt_tokens"] <= _STEP_TOKENS:
        return [f"a prompt of {seen['long_prompt_tokens']} tokens is read in one step"]
    first, second, _ = seen["sampled"]
    return [] if first == second else [f"the same seed wrote {first!r} and {second!r}"]


def _thinking(tokens: list[str], *, thinks: bool) -> list[str]:
    """A thought is ended at its 8 tokens, of which the template wrote one, by the family's own tag."""
    ends = [place for place, text in enumerate(tokens) if "</think>" in text]
    return [] if ends == ([7] if thinks else []) else [f"a thought of 8 tokens: {tokens}"]


def _lengths(seen: dict[str, Any]) -> list[str]:
    found = []
    code, detail = seen["refused"] or (None, "")
    if code != "invalid_request" or str(seen["prompt_tokens"]) not in detail:
        found.append(f"a prompt that does not fit: {seen['refused']}")
    if (seen["after_refusal"], seen["after_loss"]) != (24, 24):
        found.append(f"after a refusal and a loss: {seen['after_refusal']}, {seen['after_loss']} tokens")
    return found
