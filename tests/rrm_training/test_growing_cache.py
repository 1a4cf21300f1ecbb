"""The cache that grows in leaps holds what transformers' own does, and makes the same traces."""

import torch
from transformers import DynamicCache, Qwen2_5_VLForConditionalGeneration
from transformers.cache_utils import DYNAMIC_LAYER_TYPE_MAPPING, DynamicLayer

from edit_rrm_server.settings.server import BUNDLED_MODEL
from edit_rrm_training.rollouts.growing_cache import ROOM, RoomyLayer, growing_caches


def states(tokens: int, rows: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(rows, 2, tokens, 4), torch.randn(rows, 2, tokens, 4)


def test_it_holds_what_the_other_holds_also_after_leaps_crops_and_reordering() -> None:
    mine, other = RoomyLayer(), DynamicLayer()
    for tokens in (7, *[1] * (ROOM + 5), 3):
        added = states(tokens)
        for found, expected in zip(mine.update(*added), other.update(*added), strict=True):
            assert torch.equal(found, expected)
    for layer in (mine, other):
        layer.crop(-4)
    added = states(1)
    assert torch.equal(mine.update(*added)[0], other.update(*added)[0])
    for layer in (mine, other):
        layer.batch_select_indices(torch.tensor([0, 2]))
    added = states(2, rows=2)
    assert torch.equal(mine.update(*added)[1], other.update(*added)[1])
    assert mine.get_seq_length() == other.get_seq_length()


def test_a_token_is_written_into_the_room_that_is_there() -> None:
    layer = RoomyLayer()
    first = layer.update(*states(5))[0].data_ptr()
    assert all(layer.update(*states(1))[0].data_ptr() == first for _ in range(ROOM))
    assert layer.update(*states(1))[0].data_ptr() != first


def test_generation_is_the_same_and_afterwards_caches_are_as_they_were() -> None:
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(BUNDLED_MODEL, dtype=torch.float32)
    prompt = {
        "input_ids": torch.randint(1, 600, (2, 9)),
        "attention_mask": torch.ones(2, 9, dtype=torch.long),
    }
    options = {"max_new_tokens": ROOM + 6, "min_new_tokens": ROOM + 6, "return_dict_in_generate": True}
    expected = model.generate(**prompt, **options, do_sample=False)
    with growing_caches():
        found = model.generate(**prompt, **options, do_sample=False)
    assert torch.equal(found.sequences, expected.sequences)
    assert type(found.past_key_values.layers[0]) is RoomyLayer
    assert type(DynamicCache(config=model.config).layers[0]) is DynamicLayer
    assert DYNAMIC_LAYER_TYPE_MAPPING["full_attention"] is DynamicLayer
