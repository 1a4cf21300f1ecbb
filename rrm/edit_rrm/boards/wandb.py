"""Weights & Biases as a board. A run that goes on is the same run there: its id lies in its directory."""

import importlib.util
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from edit_rrm.boards.board import Table
from edit_rrm.boards.wandb_settings import WandbSettings
from edit_rrm.errors import BoardError
from edit_rrm.whole_files import write_whole

ID_FILE = "wandb-run-id"
_ID_BYTES = 6


def check_wandb(settings: WandbSettings) -> None:
    """Raises BoardError where a run could not be begun: before anything large is loaded."""
    if importlib.util.find_spec("wandb") is None:
        raise BoardError("wandb is not installed: pip install 'edit-rrm[wandb]', or leave the section out")
    if (settings.mode or os.environ.get("WANDB_MODE", "online")) != "online":
        return
    import wandb

    try:
        wandb.login()
    except wandb.Error as error:
        raise BoardError(f"{error} (wandb.mode=offline needs no key)") from error


def start_wandb(
    settings: WandbSettings, out: Path, config: Mapping[str, Any], *, step_name: str = "step"
) -> "WandbBoard":
    """The run of the directory `out`, begun or gone on with; `config` is shown beside its curves.

    `step_name` is the axis of all curves. Steps that a resumed run makes once more are in it twice, at the
    same place: unlike TensorBoard, nothing that was sent is taken back. Raises BoardError.
    """
    import wandb

    os.environ.setdefault("WANDB_DISABLE_WEAVE", "true")  # it advertises where openai is imported
    hook = sys.excepthook
    try:
        run = wandb.init(
            project=settings.project,
            entity=settings.entity,
            name=settings.name or out.resolve().name,
            group=settings.group,
            tags=list(settings.tags) or None,
            mode=settings.mode,
            id=_run_id(out),
            resume="allow",
            dir=str(out),
            config=dict(config),
            allow_val_change=True,  # what a run may be gone on with anew
            settings=wandb.Settings(silent=True, console="off"),
        )
    except wandb.Error as error:
        raise BoardError(f"Weights & Biases did not take the run: {error}") from error
    finally:
        sys.excepthook = hook  # wandb's shows every traceback twice; `close` is told of a failure
    run.define_metric(step_name)
    run.define_metric("*", step_metric=step_name)
    return WandbBoard(run, step_name)


class WandbBoard:
    """Tells a run of wandb's, which sends it from a process of its own: a lost network stops no training."""

    def __init__(self, run: Any, step_name: str) -> None:
        self._run, self._step_name = run, step_name

    @property
    def where(self) -> str:
        """Where the run can be looked at."""
        if self._run.offline:
            folder = Path(self._run.dir).parent
            return f"Weights & Biases, offline: `wandb sync {folder}` sends it"
        return f"Weights & Biases: {self._run.url}"

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """See `Board`."""
        self._run.log({**values, self._step_name: step})

    def picture(self, step: int, name: str, image: Image.Image) -> None:
        """See `Board`."""
        import wandb

        self._run.log({name: wandb.Image(image), self._step_name: step})

    def table(self, step: int, name: str, table: Table) -> None:
        """See `Board`."""
        import wandb

        shown = wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows])
        self._run.log({name: shown, self._step_name: step})

    def close(self, *, failed: bool = False) -> None:
        """See `Board`; waits until all is sent or, offline, written."""
        self._run.finish(exit_code=1 if failed else 0)


def _run_id(out: Path) -> str:
    file = out / ID_FILE
    if file.is_file():
        return file.read_text(encoding="utf-8").strip()
    made = secrets.token_hex(_ID_BYTES)
    write_whole(file, made + "\n")
    return made
