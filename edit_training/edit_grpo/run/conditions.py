"""Edits as a policy takes them: encoded once, kept in memory, and the encoders then out of the way."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from edit_grpo.data.edits import Edit
from edit_grpo.errors import EditRowError
from edit_grpo.policies.errors import PictureSizeError
from edit_grpo.policies.policy import Condition, EditPolicy

_Key = tuple[tuple[Path, ...], str]
_MIB = 2**20


@dataclass(frozen=True)
class EncodedEdit:
    """An edit with its sources as the editor encodes them and a judge is shown them, and its condition."""

    edit: Edit
    sources: tuple[Image.Image, ...]
    canvas: int
    """The place of the source that is as large as the edited picture."""
    condition: Condition  # one row, on the policy's device


@dataclass(frozen=True)
class UnusableEdit:
    """An edit whose sources cannot be read, or not be encoded; `error` says why."""

    edit: Edit
    error: str


class Conditions:
    """Encodes edits with frozen encoders. What was encoded last stays in memory, up to `cache_mib`."""

    def __init__(self, policy: EditPolicy, cache_mib: int) -> None:
        self._policy, self._room_bytes = policy, cache_mib * _MIB
        self._kept: OrderedDict[_Key, Condition] = OrderedDict()

    def of(self, edits: Sequence[Edit]) -> list[EncodedEdit | UnusableEdit]:
        """All of them, encoded where they can be; then the policy's text encoders may leave the device."""
        found: list[EncodedEdit | UnusableEdit] = []
        for edit in edits:
            try:
                found.append(self._encoded(edit))
            except (EditRowError, PictureSizeError) as error:
                found.append(UnusableEdit(edit, str(error)))
        self._policy.release_encoders()
        return found

    def _encoded(self, edit: Edit) -> EncodedEdit:
        sources = tuple(self._policy.prepare(picture) for picture in edit.pictures())
        canvas = range(len(sources))[self._policy.canvas]
        key = (edit.sources, edit.instruction)
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._kept[key] = kept
            return EncodedEdit(edit, sources, canvas, kept.to(self._policy.device))
        condition = self._policy.encode([sources], [edit.instruction])
        self._keep(key, condition.to("cpu"))
        return EncodedEdit(edit, sources, canvas, condition)

    def _keep(self, key: _Key, condition: Condition) -> None:
        """Adds one, and lets go of those asked for longest ago until all fit."""
        self._kept[key] = condition
        self._room_bytes -= condition.size_bytes
        while self._room_bytes < 0:
            _, oldest = self._kept.popitem(last=False)
            self._room_bytes += oldest.size_bytes
