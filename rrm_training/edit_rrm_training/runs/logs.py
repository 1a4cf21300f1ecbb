"""What a run tells while it goes on: `log.jsonl`, curves, and samples of judgements with the pictures judged.

It knows nothing of what is trained: who trains says what a sample is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from edit_rrm.boards import Board, Table, TensorBoard, check_wandb, start_wandb
from edit_rrm.errors import BoardError
from edit_rrm.run_log import FILE_NAME, RunLog
from edit_rrm.sheets import SheetRow, contact_sheet
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.runs.settings import RunSettings

OnLog = Callable[[int, Mapping[str, float]], None]
OnSay = Callable[[str], None]

PICTURES, TEXTS = "samples/pictures", "samples/texts"
"""The series of samples on every board."""


@dataclass(frozen=True)
class Sample:
    """Pictures that were judged, and what was written about them."""

    caption: str
    pictures: tuple[Image.Image, ...]
    labels: tuple[str, ...]
    """Beside the pictures."""
    texts: tuple[Mapping[str, str | float | None], ...]
    """One a text, all of the same names."""


MakeSamples = Callable[[Any], Sequence[Sample]]
"""From the model, as it is trained, to some samples; called in the first process alone."""


def check_boards(settings: RunSettings) -> None:
    """Raises SettingsError where Weights & Biases is wanted and cannot be had."""
    if settings.wandb is None:
        return
    try:
        check_wandb(settings.wandb)
    except BoardError as error:
        raise SettingsError(f"wandb: {error}") from error


class LogsRun(TrainerCallback):  # type: ignore[misc]  # transformers is Any here
    """Writes every logged number to `log.jsonl` and the boards, and samples when they are due.

    A context manager about the training.
    """

    def __init__(
        self,
        settings: RunSettings,
        on_log: OnLog = lambda step, values: None,
        say: OnSay = print,
        samples: MakeSamples = lambda model: (),
    ) -> None:
        self._settings, self._on_log, self._say = settings, on_log, say
        self._log: RunLog | None = None
        self.samples = samples

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Opens the logs at the step the run begins with."""
        if not state.is_world_process_zero:
            return
        out, done = self._settings.out, state.global_step
        curves = TensorBoard(SummaryWriter(str(out / "tensorboard"), purge_step=done + 1))
        self._log = RunLog(out / FILE_NAME, last=done, boards=[curves, *self._boards(out)])

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **_: Any,
    ) -> None:
        """Samples, where they are due: after the first step, every so many, and after the last."""
        step, every = state.global_step, self._settings.steps_between_samples
        due = every and (step == 1 or step % every == 0 or step == self._settings.steps)
        if self._log is None or not due:
            return
        if samples := self.samples(model):
            rows = [SheetRow(each.caption, each.pictures, each.labels) for each in samples]
            self._log.picture(step, PICTURES, contact_sheet(rows, columns=1))
            self._log.table(step, TEXTS, _table(samples))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any],
        **_: Any,
    ) -> None:
        """One line, and one point a curve; what is no number, or NaN, is left out."""
        if self._log is not None:
            self._on_log(state.global_step, self._log.numbers(state.global_step, logs))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends the logs, if they were begun; an error that ends the training is marked on the boards."""
        if self._log is not None:
            self._log.close(failed=kind is not None)

    def _boards(self, out: Path) -> list[Board]:
        if self._settings.wandb is None:
            return []
        try:
            board = start_wandb(self._settings.wandb, out, self._settings.model_dump(mode="json"))
        except BoardError as error:
            raise SettingsError(f"wandb: {error}") from error
        self._say(board.where)
        return [board]


def _table(samples: Sequence[Sample]) -> Table:
    columns = tuple(samples[0].texts[0])
    rows = [(each.caption, *(text[name] for name in columns)) for each in samples for text in each.texts]
    return Table(("sample", *columns), tuple(rows))
