"""bfloat16 over float32 weights: autocast, but for attention on a CPU, which it slows down."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from edit_rrm.cpu import has_bfloat16


@contextmanager
def computing_in(dtype: Literal["float32", "bfloat16"], device: torch.device) -> Iterator[None]:
    """What runs within computes in that type, where it pays: not on a CPU without bfloat16."""
    if device.type != "cpu":
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
            yield
        return
    mixed = dtype == "bfloat16" and has_bfloat16(torch.cpu.get_capabilities())
    with (
        _Float32Attention() if mixed else nullcontext(),
        torch.autocast("cpu", torch.bfloat16, enabled=mixed),
    ):
        yield


class _Float32Attention(TorchFunctionMode):  # type: ignore[misc]  # torch is Any here
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        whole = {name: _float32(value) for name, value in (kwargs or {}).items()}
        with torch.autocast("cpu", enabled=False):
            return func(*map(_float32, args), **whole)


def _float32(value: Any) -> Any:
    return value.float() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
