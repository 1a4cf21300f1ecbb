"""The estimates of the guides, by hand; and the pages have what the script prints."""

import re
from pathlib import Path

import pytest
from gpu_estimates import main
from rig.estimates import KONTEXT, QWEN_IMAGE, RRMS

DOCS = Path(__file__).parents[2] / "docs"


def test_memory_of_an_rrm_by_hand() -> None:
    """7B: h 3584, mlp 18944, keys 512, 28 layers. A layer's in + out: 4·3584 + 2·4096 + 3·22528 = 90,112."""
    seven = RRMS[1]
    assert seven.adapters(64) == 64 * 28 * 90_112 == 161_480_704
    assert seven.held(64, 8) == pytest.approx(2 * 8.29e9 + 16 * 161_480_704)
    assert seven.held(None, 8) == pytest.approx(16 * 8.29e9 / 8)
    assert seven.activations(1000) == 2 * 3584 * 45 * 1000


def test_time_of_an_rrm_s_update_by_hand() -> None:
    """8 × 8.29e9 × 2.8e15 / (8 × 350e12 × 8.29e9) tokens are 8 seconds."""
    assert RRMS[1].update_s(2.8e15 / 8.29e9, 8) == pytest.approx(8.0)
    assert RRMS[1].update_s(2.8e15 / 8.29e9, 8, corrected=True) == pytest.approx(10.0)


def test_an_editor_by_hand() -> None:
    """Kontext: 57 blocks of width 3072 and 2,560 tokens; 24·3072² = 226,492,416, 4·3072·2560 = 31,457,280."""
    assert KONTEXT.forward() == 57 * 2560 * (226_492_416 + 31_457_280)
    assert KONTEXT.adapted == 1330
    assert KONTEXT.held(64) == pytest.approx(2 * 16.87e9 + 20 * 64 * 3072 * 1330)
    assert KONTEXT.update_s(100, 8, 2, False, 8) == pytest.approx(100 * 16 * KONTEXT.forward() / 2.8e15)
    assert QWEN_IMAGE.update_s(1, 8, 3, True, 1) == pytest.approx(40 * QWEN_IMAGE.forward() / 350e12)


@pytest.mark.slow
def test_adapters_are_as_large_as_the_product_s() -> None:
    from rig.drawn_models import drawn_on, transformer_of
    from rig.published import KONTEXT as KONTEXT_SIZES
    from rig.published import QWEN_IMAGE as QWEN_SIZES
    from torch import float32

    from edit_grpo.policies.flux_kontext import FluxKontextPolicy
    from edit_grpo.policies.qwen_image_edit import QwenImageEditPolicy
    from edit_grpo.policies.settings import ATTENTION_AND_MLP

    for estimated, sizes, policy in (
        (KONTEXT, KONTEXT_SIZES, FluxKontextPolicy),
        (QWEN_IMAGE, QWEN_SIZES, QwenImageEditPolicy),
    ):
        with drawn_on("meta", float32):
            layers = dict(transformer_of(sizes).named_modules())
        targets = policy.LORA_LAYERS.targets(ATTENTION_AND_MLP, layers)
        adapted = [layer for name, layer in layers.items() if re.fullmatch(str(targets), name)]
        widths = sum(layer.in_features + layer.out_features for layer in adapted)
        assert widths == estimated.width * estimated.adapted


def test_the_guides_have_what_the_script_prints(capsys: pytest.CaptureFixture[str]) -> None:
    main(gpus=8)
    printed = [line for line in capsys.readouterr().out.splitlines() if re.match(r"\| [`Q]", line)]
    assert len(printed) == 10
    page = (DOCS / "training-on-gpus.md").read_text(encoding="utf-8")
    assert [line for line in printed if line not in page] == []
