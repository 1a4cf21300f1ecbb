"""Checkpoints by hub id: found, downloaded, taken up again, and refused in words that say what to do."""

import asyncio
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from running_service import until
from small_hub import SmallHub, commit_of, running_hub

from edit_rrm.errors import CheckpointError
from edit_rrm_server.engines.checkpoints import locating
from edit_rrm_server.engines.checkpoints.locating import LocatedCheckpoint, locate
from edit_rrm_server.settings.server import load_settings

pytestmark = pytest.mark.slow  # every download is a process of its own

SHARD = bytes(range(256)) * 4096  # 1 MiB
INDEX = json.dumps(
    {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
).encode()
FILES = {
    "README.md": b"hello",
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
    "modeling.py": b"print('remote code')",
    "model-1-of-2.safetensors": SHARD,
    "model-2-of-2.safetensors": SHARD[::-1],
    "model.safetensors.index.json": INDEX,
    "pytorch_model.bin": b"pickle",
    "original/consolidated.00.pth": b"pickle",
    "onnx/model.safetensors": b"other",
}
SERVED = sorted(
    FILES.keys() - {"README.md", "modeling.py", "pytorch_model.bin", "original/consolidated.00.pth"}
)
SERVED.remove("onnx/model.safetensors")


class Machine:
    """Where the service runs: an environment of its own with a cache of its own."""

    def __init__(self, hub: SmallHub, home: Path) -> None:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        self.environment = {**plain, "HF_HOME": str(home), "HF_ENDPOINT": hub.url}
        self.said: list[str] = []

    async def locate(self, model: str, **environment: str) -> LocatedCheckpoint:
        return await locate(
            load_settings({"model": model}), self.said.append, {**self.environment, **environment}
        )

    async def refusal(self, model: str, **environment: str) -> str:
        with pytest.raises(CheckpointError) as caught:
            await self.locate(model, **environment)
        return str(caught.value)


@pytest.fixture
def hub() -> Iterator[SmallHub]:
    locating._snapshots.clear()
    other = {**FILES, "model-1-of-2.safetensors": SHARD[1:] + b"!"}
    with running_hub(SmallHub({"acme/judge": {"main": FILES, "v2": other}})) as hub:
        yield hub
    locating._snapshots.clear()


@pytest.fixture
def machine(hub: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Machine(hub, tmp_path / "hf")


async def test_only_what_is_served_is_downloaded_and_named_by_its_id(machine: Machine, hub: SmallHub) -> None:
    found = await machine.locate("acme/judge")
    assert sorted(file.name for file in found.directory.iterdir()) == SERVED
    assert found.card.name == "acme/judge"
    assert found.card.profile == "zero_shot"
    assert found.directory.name == commit_of("main")
    assert machine.said[0] == "looking up acme/judge"
    assert machine.said[-1].startswith("downloading acme/judge 100% of 2.0 MiB")
    asked = len(hub.asked)
    locating._snapshots.clear()
    assert await machine.locate("acme/judge") == found
    assert len(hub.asked) == asked, "a second start fetches no file"


async def test_a_revision_is_another_checkpoint_of_the_same_name(machine: Machine) -> None:
    main, other = await machine.locate("acme/judge"), await machine.locate("acme/judge@v2")
    assert other.directory.name == commit_of("v2")
    assert (main.card.name, main.digest != other.digest) == (other.card.name, True)


async def test_an_engine_that_is_restarted_gets_the_weights_it_had(machine: Machine, hub: SmallHub) -> None:
    before = await machine.locate("acme/judge")
    hub.models.clear()
    assert await machine.locate("acme/judge") == before


async def test_a_connection_that_breaks_is_taken_up_where_it_broke(machine: Machine, hub: SmallHub) -> None:
    large = SHARD * 24
    hub.models["acme/judge"]["main"] = {**FILES, "model-1-of-2.safetensors": large}
    hub.cut_after["model-1-of-2.safetensors"] = len(large) // 2
    found = await machine.locate("acme/judge")
    assert (found.directory / "model-1-of-2.safetensors").read_bytes() == large
    ranges = [asked for name, asked in hub.asked if name == "model-1-of-2.safetensors"]
    assert ranges == [None, f"bytes={10 * 2**20}-"], "the library writes whole pieces of 10 MiB"


async def test_a_stopped_download_goes_on_with_the_files_it_lacks(
    machine: Machine, hub: SmallHub, tmp_path: Path
) -> None:
    hub.held["model-2-of-2.safetensors"] = Event()
    stopped = asyncio.create_task(machine.locate("acme/judge"))
    await asyncio.to_thread(hub.halfway.wait, 60)
    blobs = tmp_path / "hf" / "hub" / "models--acme--judge" / "blobs"
    others = {hashlib.sha1(FILES[name]).hexdigest() for name in SERVED if name != "model-2-of-2.safetensors"}
    await until(lambda: others <= {file.name for file in blobs.iterdir()})
    stopped.cancel()
    await asyncio.wait([stopped])
    assert not list(blobs.glob("*.incomplete")), "what nobody will go on with is left lying"
    assert "is there in part: 1 of the 2 files" in await machine.refusal("acme/judge", HF_HUB_OFFLINE="1")

    hub.held.pop("model-2-of-2.safetensors").set()
    locating._snapshots.clear()
    hub.asked.clear()
    await machine.locate("acme/judge")
    assert [name for name, _ in hub.asked] == ["model-2-of-2.safetensors"]


async def test_offline_takes_what_is_in_the_cache_and_says_what_is_not(
    machine: Machine, hub: SmallHub
) -> None:
    assert "HF_HUB_OFFLINE is set and acme/judge@main is not in" in await machine.refusal(
        "acme/judge", HF_HUB_OFFLINE="1"
    )
    online = await machine.locate("acme/judge")
    locating._snapshots.clear()
    hub.asked.clear()
    assert await machine.locate("acme/judge", HF_HUB_OFFLINE="1") == online
    assert not hub.asked


async def test_a_hub_out_of_reach_is_no_hindrance_to_what_is_in_the_cache(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert (
        "http://127.0.0.1:9 cannot be reached and acme/judge@main is not in its cache"
        in await machine.refusal("acme/judge", **nowhere)
    )
    online = await machine.locate("acme/judge")
    locating._snapshots.clear()
    assert await machine.locate("acme/judge", **nowhere) == online
    assert "acme/judge@main is served as its cache has it" in caplog.text


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("acme/other", "there is no directory acme/other, and the hub at http://127.0.0.1:"),
        ("acme/judge@v9", "acme/judge has no revision 'v9' at the hub at"),
        ("acme/pickled", "acme/pickled holds no *.safetensors weights at main"),
    ],
)
async def test_what_the_hub_does_not_have_is_said(
    machine: Machine, hub: SmallHub, model: str, said: str
) -> None:
    hub.models["acme/pickled"] = {"main": {"config.json": b"{}", "pytorch_model.bin": b"pickle"}}
    assert said in await machine.refusal(model)


async def test_a_gated_model_wants_a_key_and_is_read_with_it(machine: Machine, hub: SmallHub) -> None:
    hub.gated_for = "hf_lighthouse"
    said = await machine.refusal("acme/judge")
    assert f"acme/judge is gated: accept its terms at {hub.url}/acme/judge and set HF_TOKEN" in said
    assert (await machine.locate("acme/judge", HF_TOKEN="hf_lighthouse")).card.name == "acme/judge"


async def test_a_card_in_the_repository_goes_before_the_id(machine: Machine, hub: SmallHub) -> None:
    card = b'{"name": "own name", "profile": "trained", "trace_format": "1"}'
    hub.models["acme/judge"]["main"] = {**FILES, "rrm.json": card}
    assert (await machine.locate("acme/judge")).card.name == "own name"


@pytest.mark.parametrize(
    "name", ["nothing-of-this-name", "./acme/judge", "/acme/judge", "acme/judge/deeper", "a b/c"]
)
async def test_a_name_that_is_neither_directory_nor_id_is_refused_without_asking(
    machine: Machine, name: str
) -> None:
    said = await machine.refusal(name, HF_ENDPOINT="http://127.0.0.1:9")
    assert "expected a directory, an id of the hub" in said
    assert "edit-rrm-tiny" in said


async def test_a_directory_and_a_registered_name_go_before_an_id(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "acme" / "judge"
    directory.mkdir(parents=True)
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    assert (await machine.locate("acme/judge")).card.name == "judge"
    monkeypatch.chdir("/")
    assert (await machine.locate("edit-rrm-tiny")).card.name == "edit-rrm-tiny"


async def test_a_directory_without_all_its_weights_is_refused(machine: Machine, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors.index.json", "model-1-of-2.safetensors"):
        (tmp_path / name).write_bytes(FILES[name])
    said = await machine.refusal(str(tmp_path))
    assert "1 of the 2 files of weights that model.safetensors.index.json names are missing" in said
    assert "model-2-of-2.safetensors" in said
    (tmp_path / "model-1-of-2.safetensors").rename(tmp_path / "pytorch_model.bin")
    assert "holds no *.safetensors files; its pickled weights are not loaded" in await machine.refusal(
        str(tmp_path)
    )
