"""The evaluation's pictures: reliability of probabilities, accuracy by category and by number of samples."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edit_rrm_training.evaluation.details import Details
from edit_rrm_training.evaluation.metrics import PairOutcome

INK, SHADE, MARK = "#333333", "#cccccc", "#1f6f8b"
SIZE_INCHES = (5.0, 4.0)


def write_plots(details: Details, directory: Path) -> list[Path]:
    """Writes the plots that have something to show, and returns their paths."""
    written = []
    if details.calibration:
        written.append(_save(_reliability(details), directory / "reliability.png"))
    if details.pairs:
        written.append(_save(_by_category(details.pairs), directory / "pairs_by_category.png"))
    if len(details.scaling) > 1:
        written.append(_save(_scaling(details.scaling), directory / "samples.png"))
    return written


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=120, bbox_inches="tight", metadata={"Software": None})
    return path


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE_INCHES)
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _reliability(details: Details) -> Figure:
    """Dots on the diagonal mean what they say; a dot's area grows with its number of verdicts."""
    overall = details.calibration["all"]
    figure, axes = _axes(
        f"Verdict probabilities, ECE {overall.error:.3f}", "mean probability of met", "share that is met"
    )
    axes.plot([0, 1], [0, 1], color=SHADE, linewidth=1)
    most = max(b.count for b in overall.bins)
    axes.scatter(
        [b.mean_probability for b in overall.bins],
        [b.share_met for b in overall.bins],
        s=[15 + 150 * b.count / most for b in overall.bins],
        color=MARK,
    )
    for b in overall.bins:
        axes.annotate(str(b.count), (b.mean_probability, b.share_met), (0, 9), textcoords="offset points",
                      ha="center", fontsize=7, color=INK)  # fmt: skip
    axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.12))
    return figure


def _errors(outcomes: list[PairOutcome]) -> list[list[float]]:
    """Distances from the accuracy to the ends of its interval, as matplotlib takes them."""
    shares = [outcome.accuracy for outcome in outcomes]
    return [
        [max(0.0, s.value - s.interval[0]) for s in shares],
        [max(0.0, s.interval[1] - s.value) for s in shares],
    ]


def _by_category(pairs: dict[str, PairOutcome]) -> Figure:
    outcomes = {name: value for name, value in pairs.items() if value.accuracy.total}
    figure, axes = _axes("Pairwise accuracy by category", "accuracy, 95 % interval", "")
    axes.errorbar(
        [o.accuracy.value for o in outcomes.values()], range(len(outcomes)),
        xerr=_errors(list(outcomes.values())), fmt="o", color=MARK, capsize=3,
    )  # fmt: skip
    axes.set_yticks(range(len(outcomes)), [f"{n} ({o.accuracy.total})" for n, o in outcomes.items()])
    axes.axvline(0.5, color=SHADE, linewidth=1)
    axes.set_xlim(0, 1.02)
    return figure


def _scaling(scaling: dict[int, PairOutcome]) -> Figure:
    figure, axes = _axes("Inference scaling", "samples a candidate", "pairwise accuracy, 95 % interval")
    axes.errorbar(
        list(scaling), [o.accuracy.value for o in scaling.values()],
        yerr=_errors(list(scaling.values())), fmt="o-", color=MARK, capsize=3,
    )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(scaling), [str(count) for count in scaling])
    return figure
