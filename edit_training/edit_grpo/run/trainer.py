"""The loop: groups with rewards, an update, and now and then a checkpoint and a grid.

Policies, algorithms and HTTP are handed in. What processes must agree on (to stop, to give up) they agree
on twice an update, after the rewards and after the weights: nobody leaves while others wait for him.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from accelerate import Accelerator
from accelerate.utils import gather_object, set_seed

from edit_grpo.algorithms.algorithm import Algorithm
from edit_grpo.algorithms.averages import MovingAverage
from edit_grpo.data.edits import groups_of_process
from edit_grpo.errors import DivergedError, EditTrainingError, ServiceAwayError, StoppedError
from edit_grpo.policies.policy import EditPolicy
from edit_grpo.rollout.rollout import seed_of
from edit_grpo.run.candidates import GROUPS_SHOWN, candidate_sheet
from edit_grpo.run.checkpointing import Progress, TrainingState, save_checkpoint
from edit_grpo.run.collector import Collection, Collector
from edit_grpo.run.grids import Grids
from edit_grpo.run.records import GroupRecord, Seconds, Watched, summary, watched_numbers
from edit_grpo.run.run_log import UpdateLog
from edit_grpo.run.settings import TrainSettings
from edit_grpo.run.update import Updater
from edit_rrm.run_directories import FINAL
from edit_rrm_client import EditRRMClientError

Ending = Literal["finished", "stopped"]

_Report = tuple[tuple[GroupRecord, ...], Seconds | None, Exception | None]
"""What a process tells the others about an update's rewards."""


@dataclass
class EditTrainer:
    """One process of a run. `progress` says where it goes on; `log` and `grids` are the first process's."""

    settings: TrainSettings
    policy: EditPolicy
    state: TrainingState
    algorithm: Algorithm
    collector: Collector
    updater: Updater
    accelerator: Accelerator
    log: UpdateLog | None = None
    grids: Grids | None = None
    ema: MovingAverage | None = None
    progress: Progress = field(default_factory=Progress)
    stop: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic

    def run(self) -> Ending:
        """Trains until all updates are done or the run is asked to stop. The state is saved either way.

        Raises, after saving: ServiceAwayError when the reward service stays away, and the client's error
        for what waiting cannot mend. Raises DivergedError without saving weights that are half updated.
        """
        if self.grids is not None and self.progress.update == 0:
            self.grids.begin()
        elif self._grid_is_due() and self.grids is not None and not self.grids.has(self.progress.update):
            self._write_grid(self.progress.update)  # a kill came between the checkpoint and its grid
        saved = self.progress.update
        while self.progress.update < self.settings.updates:
            try:
                stop = self._update(self.progress.update)
            except (EditTrainingError, EditRRMClientError) as error:
                if saved != self.progress.update and not isinstance(error, DivergedError):
                    self._save()
                if isinstance(error, StoppedError):
                    return "stopped"
                raise
            done = self.progress.update
            if done % self.settings.save_every == 0 or stop or done == self.settings.updates:
                self._save()
                saved = done
            if self._grid_is_due():
                self._write_grid(done)
            if stop and done < self.settings.updates:
                return "stopped"
        self._save_final()
        return "finished"

    def _grid_is_due(self) -> bool:
        every, done = self.settings.grid_every, self.progress.update
        return every is not None and (done % every == 0 or done == self.settings.updates)

    def _groups_to_show(self, update: int) -> int:
        """Of how many groups of this update, from 0, the candidates are shown."""
        every = self.settings.candidates_every
        if self.log is None or every is None:
            return 0
        due = update == 0 or (update + 1) % every == 0 or update + 1 == self.settings.updates
        return GROUPS_SHOWN if due else 0

    def _update(self, update: int) -> bool:
        """One update; whether any process was asked to stop. Raises what ends the run, in every process."""
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        set_seed(seed_of("global", self.settings.seed, update, process) % 2**32)
        numbers = groups_of_process(self.settings.sampling.groups, process, processes)
        collection = self.collector.collect(update, numbers, shown=self._groups_to_show(update))
        reports = self._exchange(collection)
        began_s = self.clock()
        stats = self.updater.apply(collection.groups, update, self.settings.updates)
        self.algorithm.after_update(update)
        if self.ema is not None and self.settings.optimizer.ema is not None:
            self.ema.follow(self.settings.optimizer.ema)
        updating_s = self.clock() - began_s
        records = [record for part, _, _ in reports for record in part]
        empty = all(reward is None for record in records for reward in record.rewards)
        self.progress = Progress(update + 1, self.progress.empty_updates + 1 if empty else 0)
        ends: list[tuple[Watched, bool]] = gather_object([(stats.watched, self.stop())])
        if self.log is not None:
            seconds = slowest([seconds for _, seconds, _ in reports if seconds is not None], updating_s)
            extra = {"update/lr": float(self.updater.optimizer.param_groups[0]["lr"])}
            if stats.grad_norm is not None:
                extra["update/grad_norm"] = stats.grad_norm
            watched = watched_numbers([part for part, _ in ends])
            self.log.update(update + 1, summary(records, seconds) | watched | extra)
            for reason in sorted({record.error for record in records if record.error}):
                self.log.event("not scored", reason)
            if collection.shown:
                self.log.picture("candidates", candidate_sheet(collection.shown))
        if self.progress.empty_updates >= self.settings.reward.max_empty_updates:
            raise ServiceAwayError(
                f"no candidate got a reward in {self.progress.empty_updates} updates in a row "
                "(reward.max_empty_updates)"
            )
        return any(stop for _, stop in ends)

    def _exchange(self, collection: Collection) -> list[_Report]:
        """Every process's report. Raises the gravest error of any of them, in all of them."""
        reports: list[_Report] = gather_object([(collection.records, collection.seconds, collection.error)])
        errors = [error for _, _, error in reports if error is not None]
        if errors:
            raise min(errors, key=_lenience)
        return reports

    def _save(self) -> None:
        """Writes a checkpoint with the policy's own files in it."""
        if self.accelerator.is_main_process:
            out, done = self.settings.out, self.progress
            path = save_checkpoint(out, done, self.state, self.settings.keep, self._save_policy)
            if self.log is not None:
                self.log.event("saved", str(path))
        self.accelerator.wait_for_everyone()

    def _save_final(self) -> None:
        """Writes OUT/final, whole or not at all; again where a kill left the run without it."""
        if self.accelerator.is_main_process:
            final = self.settings.out / FINAL
            partial = final.with_name(f"{FINAL}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            self._save_policy(partial)
            shutil.rmtree(final, ignore_errors=True)
            partial.replace(final)
        self.accelerator.wait_for_everyone()

    def _save_policy(self, directory: Path) -> None:
        with self._averaged():
            self.policy.save(directory)

    def _write_grid(self, done: int) -> None:
        if self.grids is None:
            return
        with self._averaged():
            grid = self.grids.write(done)
        if self.log is not None:
            self.log.event("grid", str(grid.page))
            self.log.picture("grid", grid.picture)

    def _averaged(self) -> AbstractContextManager[None]:
        """Within it the policy has the weights that are kept: the averaged ones where there are any."""
        return nullcontext() if self.ema is None else self.ema.in_place()


def slowest(parts: Sequence[Seconds], updating_s: float) -> Seconds:
    """The seconds of the process that took longest to have its rewards, which the others waited for."""
    part = max(parts, key=lambda each: each.sampling + each.waiting)
    return Seconds(part.sampling, part.waiting, updating_s, part.scoring)


def _lenience(error: Exception) -> int:
    """0 for what is wrong for good, then the service being away, then a request to stop."""
    return isinstance(error, ServiceAwayError) + 2 * isinstance(error, StoppedError)
