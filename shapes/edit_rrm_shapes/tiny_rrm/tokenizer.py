"""The tiny model's tokenizer: Qwen's classes and control tokens over a byte-level BPE of our own corpus."""

from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from edit_rrm_shapes.tiny_rrm.tasks import Task, make_sample
from edit_rrm_shapes.world.scene import CELLS

VOCABULARY_SIZE = 768
CORPUS_SEED = 0
CONTROL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip

# Qwen2.5-VL's chat layout for text and images, one image token a slot; the processor multiplies it.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content %}"
    "{% if part.type in ('image', 'image_url') or 'image' in part or 'image_url' in part %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _corpus(count: int) -> Iterator[str]:
    for index in range(count):
        sample = make_sample(list(Task)[index % len(Task)], CORPUS_SEED, index)
        for message in sample.prompt.messages:
            yield f"{message.role}\n"
            yield from (part for part in message.parts if type(part) is str)
        yield sample.completion + "\nassistant\n"


def build_tokenizer(corpus_size: int = 4000) -> Qwen2Tokenizer:
    """The tokenizer, from the corpus alone: same code, same tokens."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        _corpus(corpus_size),
        trainers.BpeTrainer(
            vocab_size=VOCABULARY_SIZE - len(CONTROL_TOKENS),
            min_frequency=20,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    import json

    model = json.loads(bpe.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Qwen2Tokenizer(
        vocab=model["vocab"], merges=merges, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        model_max_length=2048,
    )  # fmt: skip
    # Every place is one token: "top left" must not begin as "top" does.
    corners = [prefix + cell for cell in CELLS if " " in cell for prefix in ("", " ")]
    tokenizer.add_tokens([AddedToken(corner, normalized=False) for corner in corners])
    tokenizer.add_special_tokens({"additional_special_tokens": list(CONTROL_TOKENS)})
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
