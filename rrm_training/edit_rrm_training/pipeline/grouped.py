"""Looks up the rows of a quadruple in a file that may be larger than memory: only their places are kept."""

import json
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from edit_rrm_training.pipeline.rows import Judgement

J = TypeVar("J", bound=Judgement)


class Grouped(Generic[J]):
    """Use as a context manager. The file must not change meanwhile."""

    def __init__(self, path: Path, model: type[J]) -> None:
        self._path = path
        self._model = model
        self._places: dict[str, list[int]] = {}

    def __enter__(self) -> "Grouped[J]":
        self._file = self._path.open("rb")
        place = 0
        for line in self._file:
            if line.strip():
                self._places.setdefault(json.loads(line)["quadruple"], []).append(place)
            place += len(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def of(self, quadruple: str) -> tuple[J, ...]:
        """The rows of a quadruple in the order of their ids; empty when there are none."""
        rows = []
        for place in self._places.get(quadruple, ()):
            self._file.seek(place)
            rows.append(self._model.model_validate_json(self._file.readline()))
        return tuple(sorted(rows, key=lambda row: row.id))
