"""Where a run that asks for bfloat16 computes in it."""

import pytest
import torch

from edit_rrm_training.runs.cpu_bfloat16 import computes_in_bfloat16


@pytest.mark.parametrize(
    ("has", "dtype", "expected"),
    [
        ({"amx_bf16": True}, "bfloat16", True),
        ({"amx_bf16": False, "avx512_bf16": True}, "bfloat16", True),
        ({"bf16": True}, "bfloat16", True),  # ARM's name
        ({"amx_bf16": False, "avx512_bf16": False, "avx2": True}, "bfloat16", False),
        ({"amx_bf16": True}, "float32", False),
    ],
)
def test_a_cpu_without_bfloat16_computes_in_float32(
    has: dict[str, bool], dtype: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert computes_in_bfloat16(dtype) is expected


@pytest.mark.parametrize("has", [True, False])
def test_a_gpu_computes_in_what_is_asked_for_if_it_has_it(has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: has)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": True})  # which does not help
    assert computes_in_bfloat16("bfloat16") is has
    assert not computes_in_bfloat16("float32")
