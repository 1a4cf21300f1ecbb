"""Memory and time of training steps at real sizes, by arithmetic alone: nothing here was measured.

Sizes in parameters, memory in bytes, work in floating-point operations. All of one GPU unless said.
"""

from dataclasses import dataclass

FLOPS = 350e12
"""A second, of one GPU in bfloat16: about a third of what an H100's data sheet has."""
FROZEN, TRAINED, ADAPTER = 2, 16, 20
"""Bytes a parameter: bfloat16; float32 with gradient and Adam's two moments; these and an average of them."""


@dataclass(frozen=True)
class Rrm:
    """A vision-language model that judges."""

    name: str
    parameters: float
    layers: int
    width: int
    mlp: int
    keys: int
    """Width of its keys, and of its values."""

    def adapters(self, rank: int) -> int:
        """Parameters of LoRA on the seven projections of every layer: rank × (in + out) each."""
        h, kv, m = self.width, self.keys, self.mlp
        return rank * self.layers * (2 * 2 * h + 2 * (h + kv) + 3 * (h + m))

    def held(self, rank: int | None, gpus: int) -> float:
        """Weights and optimiser: all with adapters on each GPU, or full training sharded over them."""
        if rank is None:
            return TRAINED * self.parameters / gpus
        return FROZEN * self.parameters + TRAINED * self.adapters(rank)

    def activations(self, tokens: int) -> float:
        """Of a forward pass whose layers are computed again: their inputs, and the inside of one of them."""
        return 2.0 * self.width * (self.layers + 17) * tokens

    def update_s(self, tokens: float, gpus: int, *, corrected: bool = False) -> float:
        """Forward, forward again, backward of so many tokens: 8 a parameter; 2 more for vLLM's correction."""
        return (10 if corrected else 8) * self.parameters * tokens / (gpus * FLOPS)


@dataclass(frozen=True)
class Editor:
    """A diffusion transformer with its frozen parts."""

    name: str
    parameters: float
    around: float
    """Parameters of the text encoders and the VAE."""
    blocks: int
    width: int
    adapted: int
    """What goes into and comes out of all layers that get an adapter, in widths."""
    tokens: int
    """Of a candidate of 512 × 512: latents, the source's latents, text."""

    def held(self, rank: int) -> float:
        """Frozen weights, and adapters of rank × (in + out) a layer with optimiser and average."""
        return FROZEN * (self.parameters + self.around) + ADAPTER * rank * self.width * self.adapted

    def activations(self, micro_batch: int, guided: bool) -> float:
        """Inputs of the blocks and the inside of one, of a pass, or of two where guidance needs both."""
        passes = 2 if guided else 1
        return 2.0 * self.width * (self.blocks + 30) * self.tokens * micro_batch * passes

    def forward(self) -> float:
        """A forward pass of one candidate: a token meets 12 width² weights a block, and all other tokens."""
        h, t = self.width, self.tokens
        return self.blocks * t * (24.0 * h * h + 4.0 * h * t)

    def update_s(self, candidates: int, steps: int, trained: int, guided: bool, gpus: int) -> float:
        """Rollout and update: a trained step is a forward pass, the reference's, one again and a backward."""
        passes = (steps + 4 * trained) * (2 if guided else 1)
        return candidates * passes * self.forward() / (gpus * FLOPS)


RRMS = (
    Rrm("Qwen2.5-VL-3B", 3.75e9, 36, 2048, 11008, 256),
    Rrm("Qwen2.5-VL-7B", 8.29e9, 28, 3584, 18944, 512),
    Rrm("Qwen3-VL-8B", 8.77e9, 36, 4096, 12288, 1024),
)
# A block of two streams has eight square projections and four layers from or to 4 widths; one of a single
# stream three projections, one to 4 widths and one from 5.
KONTEXT = Editor(
    "FLUX.1-Kontext", 11.9e9, 4.97e9, 57, 3072, 19 * (8 * 2 + 4 * 5) + 38 * (3 * 2 + 5 + 6), 1024 + 1024 + 512
)
QWEN_IMAGE = Editor("Qwen-Image-Edit", 20.43e9, 8.42e9, 60, 3072, 60 * (8 * 2 + 4 * 5), 1024 + 1024 + 390)
