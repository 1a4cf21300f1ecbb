"""Pictures whose reward can be read off, and a service that reads it: for the adapters' tests.

An edited picture of red value r has the reward r / 100; value 255 cannot be scored.
"""

import io
from typing import Any

import httpx
import numpy as np
from PIL import Image

from edit_rrm.wire import ScoreRequest
from edit_rrm_client import AsyncRewardClient, MockRewardServer, RewardClient

UNSCORABLE = 255


def picture(red: int, side: int = 4) -> Image.Image:
    """A plain picture."""
    return Image.new("RGB", (side, side), (red, 0, 0))


def pixels(*reds: int) -> np.ndarray[Any, Any]:
    """A batch of such pictures, [batch, 4, 4, 3], uint8."""
    return np.stack([np.asarray(picture(red)) for red in reds])


def floats(*reds: int) -> np.ndarray[Any, Any]:
    """The same, [batch, 3, 4, 4], in 0 to 1."""
    return (pixels(*reds).transpose(0, 3, 1, 2) / 255).astype(np.float32)


class Judge(MockRewardServer):
    """The mock service, with rewards read off the pictures; `groups` tells what each call asked for.

    `sources` tells all its sources.
    """

    def __init__(self) -> None:
        super().__init__(self._judge)
        self.groups: list[tuple[str, int, list[int]]] = []
        self.sources: list[list[int]] = []

    def _judge(self, request: ScoreRequest) -> list[float | None]:
        files = self.calls[-1].files
        reds = [_red(files[candidate.part or ""]) for candidate in request.candidates]
        sources = [_red(files[source.part or ""]) for source in request.all_sources.values()]
        self.groups.append((request.instruction, sources[0], reds))
        self.sources.append(sources)
        return [None if red == UNSCORABLE else red / 100 for red in reds]

    def client(self) -> RewardClient:
        """A client of it that never waits."""
        return RewardClient(http_client=httpx.Client(transport=self), sleep=lambda seconds: None)

    def asyncio_client(self) -> AsyncRewardClient:
        """The same for asyncio."""

        async def at_once(seconds: float) -> None:
            return None

        return AsyncRewardClient(http_client=httpx.AsyncClient(transport=self), sleep=at_once)


def _red(file: bytes) -> int:
    image = Image.open(io.BytesIO(file)).convert("RGB")
    found = image.getpixel((0, 0))
    assert isinstance(found, tuple)
    return int(found[0])
