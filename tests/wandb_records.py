"""Reads what wandb wrote offline: the file of a run, in LevelDB's log format, as protobuf records."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import wandb
from wandb.proto.wandb_internal_pb2 import Record

_BLOCK = 32_768
_HEADER = 7
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def offline_runs(out: Path) -> list[Path]:
    """The files of the runs in a run directory, in the order in which they were begun.

    wandb's own process, which writes on after a run is closed, is ended first.
    """
    wandb.teardown()
    return sorted(out.glob("wandb/offline-run-*/run-*.wandb"))


def history(file: Path) -> list[dict[str, Any]]:
    """What was logged, one mapping a call, without what wandb adds."""
    found = []
    for record in _records(file):
        if record.WhichOneof("record_type") == "history":
            items = {".".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
            found.append({name: json.loads(text) for name, text in items.items() if name[0] != "_"})
    return found


def begun_run(file: Path) -> Any:
    """The record of the run itself."""
    return next(record.run for record in _records(file) if record.WhichOneof("record_type") == "run")


def exit_code(file: Path) -> int:
    """What the run ended with."""
    ended = [record.exit for record in _records(file) if record.WhichOneof("record_type") == "exit"]
    return int(ended[-1].exit_code)


def _records(file: Path) -> Iterator[Any]:
    whole = b""
    for kind, part in _parts(file.read_bytes()):
        whole = part if kind in (_FULL, _FIRST) else whole + part
        if kind in (_FULL, _LAST):
            record = Record()
            record.ParseFromString(whole)
            yield record


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = _HEADER  # wandb's own
    while place + _HEADER <= len(data):
        if _BLOCK - place % _BLOCK < _HEADER:
            place += _BLOCK - place % _BLOCK
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        if kind == 0:
            return
        yield kind, data[place + _HEADER : place + _HEADER + length]
        place += _HEADER + length
