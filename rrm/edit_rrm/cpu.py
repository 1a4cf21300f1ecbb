"""What a CPU can do, from what torch says of it; the core itself has no torch."""

from collections.abc import Mapping

_BFLOAT16_PRODUCTS = ("amx_bf16", "avx512_bf16", "bf16")  # Intel's two, and ARM's


def has_bfloat16(capabilities: Mapping[str, object]) -> bool:
    """Whether a CPU multiplies matrices in bfloat16, by its `torch.cpu.get_capabilities()`.

    Without, a product in bfloat16 takes many times as long as in float32 (research/bfloat16_products.py).
    """
    return any(capabilities.get(name) for name in _BFLOAT16_PRODUCTS)
