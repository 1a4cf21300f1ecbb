"""Score calls for edits of the shapes world, rendered and encoded before any clock runs.

Every image is a new one unless a benchmark says otherwise: a score, a prompt prefix or an encoded image
that is already known would be measured as speed.
"""

import base64
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from PIL import Image

from edit_rrm.images import encode_png
from edit_rrm.principles import Principle, numbered
from edit_rrm_shapes.world.dataset import make_edit

SEED = 5000
"""Training and its evaluation use seeds below 3000, the older benchmarks 3000 and 4000."""


@dataclass(frozen=True)
class Group:
    """An edit with its candidates, and the principles the shapes world knows to be right."""

    instruction: str
    principles: tuple[Principle, ...]
    source: Image.Image
    candidates: tuple[Image.Image, ...]


@dataclass(frozen=True)
class Body:
    """A request's body as it goes over the wire."""

    content: bytes
    content_type: str

    async def send(self, http: httpx.AsyncClient, path: str = "/v1/score") -> httpx.Response:
        """Posts it."""
        return await http.post(path, content=self.content, headers={"Content-Type": self.content_type})


def make_groups(count: int, size: int, first: int = 0, seed: int = SEED) -> list[Group]:
    """Groups number `first` to `first + count - 1` of world `seed`, `size` candidates each."""
    groups = []
    for index in range(first, first + count):
        edit = make_edit(seed, index, size)
        principles = numbered((check.category, check.question) for check in edit.checks)
        pictures = tuple(candidate.picture() for candidate in edit.candidates)
        groups.append(Group(edit.request.instruction, principles, edit.picture(), pictures))
    return groups


def marked(image: Image.Image, number: int) -> Image.Image:
    """The image with `number` (24 bits) as the colour of its first pixel: a new image at hardly any cost."""
    copy = image.copy()
    copy.putpixel((0, 0), (number >> 16 & 255, number >> 8 & 255, number & 255))
    return copy


def score_request(
    group: Group, source: dict[str, str], candidates: Sequence[dict[str, str]]
) -> dict[str, Any]:
    """The JSON of a score call. Guards are checked and reported but spare the model no candidate."""
    return {
        "instruction": group.instruction,
        "source": source,
        "candidates": list(candidates),
        "principles": [principle.model_dump(mode="json") for principle in group.principles],
        "guards": "report",
    }


def multipart(group: Group, **fields: object) -> Body:
    """A score call as multipart/form-data; `fields` are added to its JSON."""
    files = {f"i{n}": ("image.png", encode_png(p), "image/png") for n, p in enumerate(_pictures(group))}
    source, *candidates = [{"part": name} for name in files]
    request = {**score_request(group, source, candidates), **fields}
    json_bytes = httpx.Request("POST", "http://service", json=request).read()
    form = httpx.Request("POST", "http://service", files={**files, "request": (None, json_bytes)})
    return Body(form.read(), form.headers["Content-Type"])


def base64_request(group: Group, **fields: object) -> dict[str, Any]:
    """A score call as one JSON object, images in base64."""
    source, *candidates = [{"b64": base64_png(picture)} for picture in _pictures(group)]
    return {**score_request(group, source, candidates), **fields}


def base64_png(image: Image.Image) -> str:
    """The image as a PNG in base64."""
    return base64.b64encode(encode_png(image)).decode("ascii")


class Supply:
    """Bodies of calls that were never run, made ahead of need from a few edits by marking their images."""

    def __init__(self, size: int, edits: int = 24, seed: int = SEED, **fields: object) -> None:
        self._groups = itertools.cycle(make_groups(edits, size, seed=seed))
        self._numbers = itertools.count(1)
        self._fields = fields
        self._ready: deque[Body] = deque()

    def stock(self, count: int) -> None:
        """Makes sure that `count` bodies lie ready."""
        while len(self._ready) < count:
            self._ready.append(self._make())

    def take(self) -> Body:
        """One body; made on the spot, which takes milliseconds, when none lies ready."""
        return self._ready.popleft() if self._ready else self._make()

    def give_back(self, body: Body) -> None:
        """Takes back a body that was refused: nothing in the server has seen its images."""
        self._ready.append(body)

    def _make(self) -> Body:
        group = next(self._groups)
        source, *candidates = [marked(picture, next(self._numbers)) for picture in _pictures(group)]
        fresh = Group(group.instruction, group.principles, source, tuple(candidates))
        return multipart(fresh, **self._fields)


def _pictures(group: Group) -> tuple[Image.Image, ...]:
    return (group.source, *group.candidates)
