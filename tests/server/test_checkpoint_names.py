"""What the names of checkpoints mean, which files are fetched, and how a download is told of."""

import pytest

from edit_rrm_server.engines.checkpoints.contents import files_to_load
from edit_rrm_server.engines.checkpoints.hub_ids import HubId, hub_id
from edit_rrm_server.engines.checkpoints.transfer import Transfer


def test_remote_code_is_fetched_only_where_it_may_run() -> None:
    names = ["config.json", "model.safetensors", "modeling_x.py", "sub/code.py"]
    assert files_to_load([*names, "judge.toml"]) == ["config.json", "judge.toml", "model.safetensors"]
    assert files_to_load(names) == ["config.json", "model.safetensors"]
    assert files_to_load(names, with_code=True) == ["config.json", "model.safetensors", "modeling_x.py"]


def test_the_same_weights_are_not_fetched_in_two_forms() -> None:
    assert files_to_load(["consolidated.safetensors", "model.safetensors"]) == ["model.safetensors"]
    assert files_to_load(["consolidated.safetensors"]) == ["consolidated.safetensors"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Qwen/Qwen3-VL-8B-Instruct", HubId("Qwen/Qwen3-VL-8B-Instruct", "main")),
        ("acme/judge@refs/pr/1", HubId("acme/judge", "refs/pr/1")),
        ("acme/judge@", None),
        ("judge", None),
        ("acme/judge@../../x y", None),
        ("acme/../judge", None),
    ],
)
def test_ids_have_two_parts_and_perhaps_a_revision(text: str, expected: HubId | None) -> None:
    assert hub_id(text) == expected


def test_a_log_is_told_seldom_and_a_terminal_always() -> None:
    now = [0.0]
    log: list[str] = []
    shown: list[str] = []
    transfers = [
        Transfer("m", say, watched=watched, clock=lambda: now[0])
        for say, watched in ((log.append, False), (shown.append, True))
    ]
    for second in range(21):
        now[0] = float(second)
        for transfer in transfers:
            transfer.report(second * 2**29, 20 * 2**29)
    assert log == ["m 0% of 10.0 GiB", "m 75% of 10.0 GiB, 512.0 MiB/s", "m 100% of 10.0 GiB, 512.0 MiB/s"]
    assert len(shown) == 21
    assert shown[10] == f"m {'━' * 12}{'─' * 12} 50% of 10.0 GiB, 512.0 MiB/s"
