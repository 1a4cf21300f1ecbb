"""Evaluation with scripted checkpoints whose quality is known."""

from collections.abc import Callable, Sequence

from edit_rrm.checkpoint import SamplingDefaults
from edit_rrm_training.evaluation.evaluate import evaluate
from edit_rrm_training.shapes.dataset import make_edit
from edit_rrm_training.tiny.bundle import tiny_card
from edit_rrm_training.tiny.tasks import Sample, decompose_completion, verify_completion

SEED, COUNT = 41, 12
CARD = tiny_card("scripted", {})


class Script:
    """Answers decompositions and verifications from the truth, each changed by a function."""

    def __init__(self, decompose: Callable[[str], str] = str, verify: Callable[[str], str] = str) -> None:
        edits = [make_edit(SEED, index, 4) for index in range(COUNT)]
        self._decompositions = iter([decompose(decompose_completion(e)) for e in edits])
        self._traces = iter([verify(verify_completion(c)) for e in edits for c in e.candidates])

    def complete(self, samples: Sequence[Sample], sampling: SamplingDefaults) -> list[str]:
        source = self._decompositions if len(samples[0].images) == 1 else self._traces
        assert not any(sample.completion for sample in samples)  # nothing is teacher-forced
        return [next(source) for _ in samples]


def measures(script: Script) -> dict[str, float]:
    evaluation, judged = evaluate(script, CARD, seed=SEED, count=COUNT)
    assert len(judged) == COUNT
    assert evaluation.as_dict()["edits"] == COUNT
    return {name: share.value for name, share in evaluation.shares.items()}


def test_a_checkpoint_that_writes_the_truth_is_right_everywhere() -> None:
    found = measures(Script())
    ceiling = found.pop("pairwise accuracy, gold score (ceiling of the verdicts)")
    assert found.pop("pairwise accuracy, score") == ceiling
    assert found.pop("pairs tied by score") < 0.1
    assert set(found.values()) == {1.0}


def test_a_checkpoint_that_says_yes_to_everything_is_found_out() -> None:
    found = measures(Script(verify=lambda trace: trace.replace("=> 0", "=> 1")))
    assert found["traces that parse"] == 1.0
    for category in ("follow", "keep", "quality"):
        assert found[f"verdict accuracy, {category}, met"] == 1.0
        assert found[f"verdict accuracy, {category}, not met"] == 0.0


def test_text_that_is_no_trace_counts_against_everything() -> None:
    found = measures(Script(decompose=lambda text: "I would rather not.", verify=lambda trace: trace[:-3]))
    assert found["traces that parse"] == 0.0
    assert found["verdict accuracy, all"] == 0.0
    assert found["pairwise accuracy, score"] == 0.0
    assert found["decompositions that validate"] == 0.0
    assert found["decompositions that name the edited thing"] == 0.0


def test_naming_the_wrong_place_is_no_naming() -> None:
    places = ("top left", "bottom right", "center")

    def misplace(text: str) -> str:
        lines = text.split("\n")
        for place in places:
            lines[1] = lines[1].replace(place, "far left")
        return "\n".join(lines)

    found = measures(Script(decompose=misplace))
    assert found["decompositions that validate"] == 1.0
    assert 0.0 < found["decompositions that name the edited thing"] < 1.0
