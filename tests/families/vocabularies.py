"""Small tokenizers of the two kinds that families have, learned from the prompts they are to read.

Byte-level BPE (Qwen, GLM, InternVL) spells a space "Ġ"; the SentencePiece kind (Llama, Gemma) spells it "▁",
falls back on bytes, and gives every digit a token of its own.
"""

import json
from collections.abc import Sequence
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from edit_rrm.judges.zero_shot import DECOMPOSE_SYSTEM, VERIFY_FORMAT, VERIFY_SYSTEM

CORPUS = (VERIFY_SYSTEM, VERIFY_FORMAT, DECOMPOSE_SYSTEM)
_WORDS = 1200
_SPACE = "\u2581"
_PIECES = r" ?\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"


def byte_level(control: Sequence[str], *, head: Sequence[str] = (), **named: Any) -> PreTrainedTokenizerFast:
    """A byte-level BPE. It writes `head` before every text by itself, as GLM's does."""
    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = split
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=_WORDS, initial_alphabet=alphabet, show_progress=False)
    )
    vocabulary, merges = _learned(learner)
    for digit in "01":  # a verdict behind a space is a token of its own
        vocabulary.setdefault(f"\u0120{digit}", len(vocabulary))
        merges.append(("\u0120", digit))
    core = Tokenizer(models.BPE(vocabulary, merges))
    core.pre_tokenizer = split
    core.decoder = decoders.ByteLevel()
    return _finished(core, control, head, named)


def sentencepiece(
    control: Sequence[str], *, head: Sequence[str] = (), first_space: bool, **named: Any
) -> PreTrainedTokenizerFast:
    """A BPE as SentencePiece writes it; `first_space`: one is put before a text, and not decoded."""
    learner = Tokenizer(models.BPE(unk_token="<unk>"))
    learner.normalizer = normalizers.Replace(" ", _SPACE)
    learner.pre_tokenizer = pre_tokenizers.Split(
        Regex(f"\\p{{N}}|{_SPACE}?\\p{{L}}+|{_SPACE}?[^{_SPACE}\\p{{L}}\\p{{N}}]+|{_SPACE}"), "isolated"
    )
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    learner.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=_WORDS, special_tokens=["<pad>", "<unk>", *byte_tokens], show_progress=False
        ),
    )
    vocabulary, merges = _learned(learner)
    for digit in "0123456789":
        vocabulary.setdefault(digit, len(vocabulary))
    for spelling in (_SPACE, f"{_SPACE}0", f"{_SPACE}1"):
        vocabulary.setdefault(spelling, len(vocabulary))
    core = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    core.add_tokens([AddedToken("\n" * count, normalized=False) for count in (1, 2, 3, 4)])
    replace = normalizers.Replace(" ", _SPACE)
    core.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), replace]) if first_space else replace
    steps = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    core.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if first_space else steps)
    return _finished(core, control, head, {"unk_token": "<unk>", "pad_token": "<pad>", **named})


def _learned(learner: Tokenizer) -> tuple[dict[str, int], list[tuple[str, str]]]:
    model = json.loads(learner.to_str())["model"]
    return model["vocab"], [(one, other) for one, other in model["merges"]]


def _finished(
    core: Tokenizer, control: Sequence[str], head: Sequence[str], named: dict[str, Any]
) -> PreTrainedTokenizerFast:
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    if head:
        core.post_processor = processors.TemplateProcessing(
            single=[*head, "$A"],
            special_tokens=[(token, core.token_to_id(token)) for token in head],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, model_max_length=16384, clean_up_tokenization_spaces=False, **named
    )
