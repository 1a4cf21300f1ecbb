"""The trainers' own client code and calls against a running service: what they send, what they take.

    edit-rrm-server serve --set dialects=flow_factory,unirl                 # in one terminal
    python research/trainers_tried.py CHECKOUTS [--url http://127.0.0.1:8000]

CHECKOUTS holds a folder a project, each a checkout: `Flow-Factory`, `UniRL`, `ms-swift`, `verl`, `verl-omni`,
`OpenRLHF`; one that is missing is passed over. What they import beside torch and is not installed belongs on
PYTHONPATH (tensordict, omegaconf, hydra-core, codetiming, pylatexenc). Their code is imported, or taken
function by function where the import wants more; GPUs, Ray and models are left out. The edits are the demo's.
"""

import ast
import asyncio
import inspect
import json
import logging
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from edit_rrm_client.adapters import (
    openrlhf_reward,
    trl_reward,
    verl_batch_reward,
    verl_omni_reward,
    verl_reward,
)

DEMO = Path(__file__).parents[1] / "demo"
Said = Iterator[tuple[str, str]]
"""What was tried, and what came of it."""


class Edits:
    """The demo's edits of one source."""

    def __init__(self) -> None:
        rows = json.loads((DEMO / "edits.json").read_text(encoding="utf-8"))
        rows = rows["edits"] if isinstance(rows, dict) else rows
        first = rows[0]
        same = [r for r in rows if (r["source"], r["instruction"]) == (first["source"], first["instruction"])]
        self.instruction: str = first["instruction"]
        self.source = self._open(first["source"])
        self.edited = [self._open(row["edited"]) for row in same]

    def _open(self, path: str) -> Image.Image:
        return Image.open(DEMO / path).convert("RGB")

    def tensors(self) -> torch.Tensor:
        """[candidates, 3, height, width] uint8."""
        return torch.stack([torch.tensor(np.asarray(image)).permute(2, 0, 1) for image in self.edited])


def flow_factory(root: Path, url: str, edits: Edits) -> Said:
    """Its remote client, as its own wrapper calls it."""
    sys.path.insert(0, str(root / "src"))
    from flow_factory.rewards.my_reward_remote import RemoteRewardClient  # type: ignore[import-not-found]

    client = RemoteRewardClient(url, timeout=300.0, retries=1)
    count = len(edits.edited)
    group = {
        "prompt": [edits.instruction] * count,
        "image": edits.edited,
        "condition_images": [[edits.source]] * count,
    }
    yield "a group", str(client.compute(**group))
    try:
        client.compute(**{**group, "condition_images": [[edits.source]] * (count - 1) + [[]]})
    except RuntimeError as error:
        yield "one row without a source", f"raises: {str(error)[:90]}"


def unirl(root: Path, url: str, edits: Edits) -> Said:
    """Its remote backend: payload, call and reading of the answer."""
    sys.path.insert(0, str(root))
    from unirl.reward.remote import RemoteRewardBackend, RemoteRewardSpec  # type: ignore[import-not-found]
    from unirl.types.reward import RewardRequest  # type: ignore[import-not-found]

    spec = RemoteRewardSpec(
        base_url=url, required_rewards=["edit_rrm"], sub_metric_reduce="first", timeout=300.0, max_retries=1
    )
    backend = RemoteRewardBackend(config=spec, base_device="cpu")
    yield "health and roster", str(backend.is_available())
    count = len(edits.edited)
    source = torch.tensor(np.asarray(edits.source)).permute(2, 0, 1)
    sources, edited = _Pictures(source.expand(count, -1, -1, -1)), _Pictures(edits.tensors())
    texts = types.SimpleNamespace(texts=[edits.instruction] * count)
    group = RewardRequest(primitives={"text": texts, "image": sources}, generated={"image": edited})
    answer = backend.compute_rewards(group)
    yield "a group", str([round(reward, 3) for reward in answer.rewards])
    answer = backend.compute_rewards(RewardRequest(primitives={"text": texts}, generated={"image": edited}))
    yield "rows without a source", f"successes {answer.successes}: {answer.errors[0]}"


def ms_swift(root: Path, url: str, edits: Edits) -> Said:
    """Its function that calls reward functions, with stand-ins for what it imports."""
    rows_of = types.SimpleNamespace(
        rows_to_batched=lambda given: {name: [row[name] for row in given] for name in given[0]}
    )
    for module in ("swift", "swift.dataset"):
        sys.modules[module] = types.ModuleType(module)
    sys.modules["swift.dataset"].RowPreprocessor = rows_of  # type: ignore[attr-defined]
    known = {"torch": torch, "nn": torch.nn, "logger": logging.getLogger("ms-swift")}
    score = _taken(
        root / "swift/rl_core/grpo_algorithm.py", "compute_rewards_per_func",
        _is_async_reward=lambda reward: False, **known,
    )  # fmt: skip
    rows = [{"instruction": edits.instruction, "image": edits.source} for _ in range(len(edits.edited) + 1)]
    for row, edited in zip(rows, [*edits.edited, None], strict=True):
        row["edited_image"] = edited
    samples = [
        types.SimpleNamespace(messages=[{"content": ""}], to_reward_row=lambda row=row: row) for row in rows
    ]
    rewards = score(samples, [trl_reward(url)], None, torch.device("cpu"))
    yield "a group and a row without an image", str(rewards[:, 0].tolist())


def verl(root: Path, url: str, edits: Edits) -> Said:
    """Its batch manager's `verify`, and its naive manager's call."""
    sys.path.insert(0, str(root))
    from verl.workers.reward_manager.batch import BatchRewardManager  # type: ignore[import-not-found]

    manager = BatchRewardManager(_Words(), 0, verl_batch_reward(url, on_failure="nan"))
    found = manager.verify(_batch(edits, missing=True))
    yield "batch manager, one edit missing", str([round(each["score"], 3) for each in found])
    one = verl_reward(url)(
        data_source="edits",
        solution_str="",
        ground_truth=edits.instruction,
        extra_info={"source_img": edits.source, "edited_img": edits.edited[0]},
    )
    yield "one sample", str(round(one["score"], 3))


def verl_omni(root: Path, url: str, edits: Edits) -> Said:
    """Its visual manager's `run_single`, which passes the picture as a tensor of bytes."""
    file = root / "verl_omni/reward_loop/reward_manager/visual.py"
    checked = _taken(file, "_validate_visual_response", torch=torch)
    known = {"inspect": inspect, "torch": torch, "_validate_visual_response": checked}
    manager = _taken(file, "VisualRewardManager", **known)()
    manager.config = _Config()
    manager.compute_score = verl_omni_reward(url)
    manager.is_async_reward_score = True
    manager.reward_router_address = None
    for name, extra in (("an edit", {"source_img": edits.source}), ("without its source", {})):
        item = _Item(
            batch={"responses": edits.tensors()[0]},
            non_tensor_batch={
                "data_source": "edits",
                "reward_model": {"ground_truth": edits.instruction},
                "extra_info": extra,
            },
        )
        try:
            found = asyncio.run(manager.run_single([item]))
            yield name, str(round(found["reward_score"], 3))
        except Exception as error:
            yield name, f"raises: {str(error)[:90]}"


def openrlhf(root: Path, url: str, edits: Edits) -> Said:
    """Its executor's call of a `reward_func`, and what its samples make of the answer."""
    sys.path.insert(0, str(root))
    from openrlhf.utils.agent import SingleTurnAgentExecutor  # type: ignore[import-not-found]

    executor = SingleTurnAgentExecutor()
    executor.reward_func = openrlhf_reward(url)
    label = {"instruction": edits.instruction, "source_img": edits.source, "edited_img": edits.edited[0]}
    (found,) = asyncio.run(executor._fetch_rewards_via_func(["q"], ["p"], [label]))
    yield "one sample, as a tensor", str(torch.tensor([found["rewards"]]))
    try:
        asyncio.run(executor._fetch_rewards_via_func(["q"], ["p"], [{**label, "edited_img": None}]))
    except Exception as error:
        yield "without an edited image", f"raises: {str(error)[:90]}"


TRIED: dict[str, Callable[[Path, str, Edits], Said]] = {
    "Flow-Factory": flow_factory, "UniRL": unirl, "ms-swift": ms_swift, "verl": verl,
    "verl-omni": verl_omni, "OpenRLHF": openrlhf,
}  # fmt: skip


class _Pictures:
    """What UniRL's requests hold: [batch, 3, height, width] in 0 to 1."""

    def __init__(self, pixels: torch.Tensor) -> None:
        self.pixels = pixels.float() / 255

    def __len__(self) -> int:
        return len(self.pixels)


class _Words:
    def decode(self, ids: Any, skip_special_tokens: bool = True) -> str:
        return ""


class _Config(dict[str, Any]):
    """Any setting, with pictures as the output."""

    def __getattr__(self, name: str) -> "_Config":
        return self

    def get(self, name: str, default: Any = None) -> Any:
        return default


class _Item:
    def __init__(self, batch: dict[str, Any], non_tensor_batch: dict[str, Any]) -> None:
        self.batch, self.non_tensor_batch, self.meta_info = batch, non_tensor_batch, dict[str, Any]()


class _Batch(list[_Item]):
    """What a manager reads of verl's DataProto."""

    batch: dict[str, torch.Tensor]
    non_tensor_batch: dict[str, Any]


def _batch(edits: Edits, *, missing: bool) -> _Batch:
    images = [*edits.edited, *[None] * missing]
    infos = [{"source_img": edits.source, "edited_img": image} for image in images]
    whole = {"reward_model": {"ground_truth": edits.instruction}}
    batch = _Batch(_Item({}, dict(whole)) for _ in infos)
    ones = torch.ones(len(infos), 4, dtype=torch.long)
    batch.batch = {"prompts": ones[:, :2], "responses": ones[:, 2:], "attention_mask": ones}
    batch.non_tensor_batch = {"data_source": ["edits"] * len(infos), "extra_info": [dict(i) for i in infos]}
    return batch


def _taken(file: Path, name: str, **known: Any) -> Any:
    """A function or class of a file, without annotations and bases; `known` is what it uses."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (node,) = (n for n in tree.body if getattr(n, "name", None) == name)
    for inner in ast.walk(node):
        if isinstance(inner, ast.arg):
            inner.annotation = None
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            inner.returns = None
            inner.decorator_list = [d for d in inner.decorator_list if ast.unparse(d) == "classmethod"]
            if inner.name == "__init__":
                inner.body, inner.args = [ast.Pass()], ast.parse("lambda self: 0").body[0].value.args  # type: ignore[attr-defined]
        elif isinstance(inner, ast.ClassDef):
            inner.bases, inner.decorator_list = [], []
    space: dict[str, Any] = {"Dict": dict, "Any": Any, **known}
    exec(compile(ast.fix_missing_locations(ast.Module([node], [])), str(file), "exec"), space)
    return space[name]


def main(
    checkouts: Annotated[Path, typer.Argument(help="A folder with the projects' checkouts.")],
    url: Annotated[str, typer.Option(help="A running service with both dialects.")] = "http://127.0.0.1:8000",
) -> None:
    """See above."""
    table = Table("trainer", "tried", "what came of it")
    edits = Edits()
    for name, tried in TRIED.items():
        root = checkouts / name
        if not root.is_dir():
            table.add_row(name, "no checkout", "")
            continue
        for what, came in tried(root, url, edits):
            table.add_row(name, what, came)
    Console(width=150).print(table)


if __name__ == "__main__":
    typer.run(main)
