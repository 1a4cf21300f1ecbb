"""The shapes editor, untrained: a FluxKontextPipeline of small parts for pictures of 96×96 pixels.

An autoencoder of convolutions, T5 and CLIP of a few layers with words as tokens, and a Flux transformer.
It knows the sizes; the words come from the instructions it will be trained on.
"""

from collections.abc import Iterable

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxKontextPipeline
from diffusers.models.normalization import AdaLayerNormZero, AdaLayerNormZeroSingle
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from edit_rrm_shapes.tiny_editor.change_transformer import ChangeFluxTransformer2DModel
from edit_rrm_shapes.tiny_editor.vae import ShapesVAE

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
MAX_TOKENS = 26
"""The longest instruction of two edits has 25 words."""


def word_tokenizer(instructions: Iterable[str]) -> PreTrainedTokenizerFast:
    """Every word of the instructions is a token, in alphabetical order; padded on the right."""
    words = sorted({word for instruction in instructions for word in instruction.split()})
    vocabulary = {word: number for number, word in enumerate([PAD, END, UNKNOWN, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, vocabulary[END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, unk_token=UNKNOWN,
        model_max_length=MAX_TOKENS,
    )  # fmt: skip


def build_shapes_editor(instructions: Iterable[str], seed: int) -> FluxKontextPipeline:
    """Random weights from `seed` alone, for the vocabulary of `instructions`."""
    tokenizer = word_tokenizer(instructions)
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    t5 = T5Config(
        vocab_size=len(tokenizer), d_model=128, d_kv=32, d_ff=256, num_layers=2, num_heads=4,
        relative_attention_num_buckets=16, relative_attention_max_distance=32, dropout_rate=0.0, **special,
    )  # fmt: skip
    clip = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, projection_dim=64,
        num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=MAX_TOKENS,
        bos_token_id=tokenizer.eos_token_id, **special,
    )  # fmt: skip
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        return FluxKontextPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(
                use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15
            ),
            vae=ShapesVAE(),
            text_encoder=CLIPTextModel(clip),
            tokenizer=tokenizer,
            text_encoder_2=T5EncoderModel(t5),
            tokenizer_2=tokenizer,
            transformer=_modest(ChangeFluxTransformer2DModel()),
        )
    finally:
        torch.set_rng_state(state)


def _modest(transformer: ChangeFluxTransformer2DModel) -> ChangeFluxTransformer2DModel:
    """Modulations at 0, as diffusion transformers begin: every block is the identity at first."""
    for module in transformer.modules():
        if isinstance(module, AdaLayerNormZero | AdaLayerNormZeroSingle):
            torch.nn.init.zeros_(module.linear.weight)
            torch.nn.init.zeros_(module.linear.bias)
    return transformer
