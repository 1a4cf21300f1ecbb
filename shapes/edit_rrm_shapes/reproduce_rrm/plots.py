"""The reproduction's pictures: accuracies with their intervals, and GCPO's curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edit_rrm.intervals import Share
from edit_rrm_training.evaluation.plots import INK, MARK, SHADE

PANELS = {
    "gcpo/reward": "training reward, of drawn scores",
    "gcpo/expected_reward": "training reward, over all scores (ours)",
    "eval_accuracy": "pairs right, validation",
    "gcpo/score_margin": "score margin",
    "gcpo/evidence_kl": "KL of the evidence to T+V, nats a trace (ours)",
    "gcpo/unparsed": "traces that do not parse",
    "grad_norm": "norm of the gradient",
}
SMOOTH_STEPS = 20
"""Curves of single rollouts are shown as a running mean over so many."""


@dataclass(frozen=True)
class Curve:
    """A run's name and the lines of its log.jsonl."""

    name: str
    lines: Sequence[Mapping[str, float]]

    def points(self, measure: str) -> tuple[list[float], list[float]]:
        """Steps and values of one measure."""
        found = [(line["step"], line[measure]) for line in self.lines if measure in line]
        return [step for step, _ in found], [value for _, value in found]


def running_mean(values: Sequence[float], width: int) -> list[float]:
    """The mean of each value and up to `width` − 1 before it."""
    return [
        sum(part) / len(part)
        for end in range(1, len(values) + 1)
        if (part := values[max(0, end - width) : end])
    ]


def write_plots(directory: Path, bars: Sequence[tuple[str, Share]], curves: Sequence[Curve]) -> None:
    """Writes `pairs.png` and `gcpo.png`, those that have something to show."""
    if bars:
        _save(_bars(bars), directory / "pairs.png")
    if curves:
        _save(_curves(curves), directory / "gcpo.png")


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight", metadata={"Software": None})


def _bars(bars: Sequence[tuple[str, Share]]) -> Figure:
    figure = Figure(figsize=(6.0, 0.7 + 0.35 * len(bars)))
    axes = figure.add_subplot()
    values = [share.value for _, share in bars]
    errors = [
        [share.value - share.interval[0] for _, share in bars],
        [share.interval[1] - share.value for _, share in bars],
    ]
    axes.barh(range(len(bars)), values, xerr=errors, color=MARK, ecolor=INK, capsize=3, height=0.6)
    axes.set_yticks(range(len(bars)), [f"{name} ({share.total})" for name, share in bars])
    axes.invert_yaxis()
    axes.axvline(0.5, color=SHADE, linewidth=1)
    axes.set(xlabel="pairwise accuracy, 95 % interval", xlim=(0.0, 1.0))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _curves(curves: Sequence[Curve]) -> Figure:
    rows = len(PANELS) // 2 + 1  # the last place is the legend's
    figure = Figure(figsize=(9.0, 2.6 * rows))
    for number, (measure, title) in enumerate(PANELS.items(), start=1):
        axes: Axes = figure.add_subplot(rows, 2, number)
        for curve in curves:
            steps, values = curve.points(measure)
            smooth = values if measure == "eval_accuracy" else running_mean(values, SMOOTH_STEPS)
            axes.plot(steps, smooth, label=curve.name, linewidth=1.2)
        axes.set(title=title, xlabel="step")
        axes.spines[["top", "right"]].set_visible(False)
    last: Axes = figure.add_subplot(rows, 2, 2 * rows)
    last.axis("off")
    last.legend(*figure.axes[0].get_legend_handles_labels(), fontsize=8, loc="center", frameon=False)
    figure.tight_layout()
    return figure
