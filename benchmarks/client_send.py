"""What does it cost a trainer to send a group of pictures from a batch of tensors?

    .venv/bin/python benchmarks/client_send.py [--repeats 5] [--size 1024]

24 pictures of 1024 x 1024 as a float tensor become files, one after the other and as the client does it, as
many at once as there are cores; then the whole call, to a service that answers at once. Photographs with
real edits. The encodings take turns; ratios are of one run. A GPU's own time is no part of it.
"""

import statistics
import time
from collections.abc import Callable
from typing import Annotated, get_args

import httpx
import numpy as np
import torch
import typer
from PIL import Image
from rich.table import Table
from rig.pictures import edited_pictures
from rig.report import console, progress, say_machine

from edit_rrm_client import RewardClient
from edit_rrm_client._images import Encoding, ImageInput, encode_image, encode_images

GROUP = 24
ENCODINGS: list[Encoding] = [name for name in get_args(Encoding) if name != "jpeg"]  # another name for jpeg95


def seconds(work: Callable[[], object]) -> float:
    """What it takes by the clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def answer(request: httpx.Request) -> httpx.Response:
    """The service that answers at once: the client's own work is what is left."""
    scored = {"status": "ok", "reward": 0.5, "score": 5.0, "average": None}
    return httpx.Response(
        200,
        json={
            "id": "x",
            "model": "judge@0",
            "principles": [],
            "principles_from": "model",
            "results": [scored] * GROUP,
            "usage": {},
            "timing": {"queue_s": 0, "decompose_s": 0, "verify_s": 0, "total_s": 0},
        },
    )


def sent(source: Image.Image, batch: torch.Tensor, encoding: Encoding) -> tuple[float, float, float, float]:
    """MiB of the files, seconds to make them one by one, all together, and of a whole call."""
    images: list[tuple[ImageInput, str]] = [(image, f"candidates[{n}]") for n, image in enumerate(batch)]
    alone_s = seconds(lambda: [encode_image(image, name, encoding) for image, name in images])
    together_s = seconds(lambda: encode_images(images, encoding))
    files = encode_images(images, encoding)
    http = httpx.Client(transport=httpx.MockTransport(answer))
    with RewardClient("http://service", http_client=http, encoding=encoding) as client:
        call_s = seconds(lambda: client.score("x", source, list(batch)))
    return sum(len(file.data) for file in files) / 2**20, alone_s, together_s, call_s


def main(
    repeats: Annotated[int, typer.Option(min=1, help="Groups of each encoding.")] = 5,
    size: Annotated[int, typer.Option(min=64, help="Pixels of a side.")] = 1024,
) -> None:
    """Prints what a group costs the client by encoding."""
    table = Table("encoding", "MiB", "one by one, s", "as sent, s", "times faster", "whole call, s",
                  title=f"{GROUP} pictures of {size}² from a float tensor, medians of {repeats}")  # fmt: skip
    taken: dict[Encoding, list[tuple[float, float, float, float]]] = {name: [] for name in ENCODINGS}
    for number in range(repeats):
        progress.print(f"group {number + 1} of {repeats}")
        source, edited = edited_pictures(size, GROUP, number)
        batch = torch.stack([_tensor(picture) for picture in edited])
        for name in ENCODINGS:
            taken[name].append(sent(source, batch, name))
    for name, rows in taken.items():
        size_mib, alone, together, call = (statistics.median(column) for column in zip(*rows, strict=True))
        faster = statistics.median(row[1] / row[2] for row in rows)
        table.add_row(
            name, f"{size_mib:.1f}", f"{alone:.2f}", f"{together:.2f}", f"{faster:.2f}", f"{call:.2f}"
        )
    console.print(table)
    say_machine()


def _tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(picture).astype(np.float32) / 255).permute(2, 0, 1)


if __name__ == "__main__":
    typer.run(main)
