"""The reproduction's pictures: what the reward model says and what the oracle says, over the training."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from edit_rrm.intervals import share
from edit_rrm_shapes.reproduce_editor.measuring import Measured
from edit_rrm_shapes.reproduce_editor.plan import Run
from edit_rrm_shapes.reproduce_editor.results import Curves
from edit_rrm_shapes.reproduce_editor.statistics import mean_of

COLOURS = {"gcpo": "#3f6fb5", "sft": "#c8763a"}


def draw_curves(curves: Curves, trained: Mapping[Run, Sequence[tuple[int, float]]], path: Path) -> None:
    """Held-out edits, by updates: oracle success, oracle utility, the reward model's own mean reward; and
    beside them the mean reward of the candidates trained on."""
    panels: dict[str, Callable[[Sequence[Measured]], float]] = {
        "oracle: success": lambda rows: share(one.success for one in rows).value,
        "oracle: mean utility / 10": lambda rows: mean_of(one.utility for one in rows) / 10.0,
        "reward model: mean reward": lambda rows: mean_of(one.reward for one in rows),
    }
    figure = Figure(figsize=(14.0, 3.4))
    *held_out, last = figure.subplots(1, len(panels) + 1, sharey=True)
    for axes, (title, value) in zip(held_out, panels.items(), strict=True):
        for run, points in curves.items():
            axes.plot(
                [update for update, _ in points], [value(rows) for _, rows in points], marker="o",
                markersize=3, linewidth=1.4, color=COLOURS[run.reward],
                linestyle="-" if run.seed == 0 else "--", label=str(run),
            )  # fmt: skip
        axes.set(title=title)
    for run, rewards in trained.items():
        last.plot(
            [update for update, _ in rewards], [reward for _, reward in rewards], linewidth=1.0,
            color=COLOURS[run.reward], linestyle="-" if run.seed == 0 else "--",
        )  # fmt: skip
    last.set(title="in training: mean reward")
    for axes in figure.axes:
        axes.set(xlabel="updates", ylim=(0.0, 1.0))
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(fontsize=7)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
