"""Judges by name or file: our own, those that other packages register, and whatever file somebody wrote."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from edit_rrm import plugins
from edit_rrm.checkpoint import RRMCard
from edit_rrm.errors import JudgeError
from edit_rrm.judges import TrainedProfile, ZeroShotProfile
from edit_rrm.judges.judge import MAX_SOURCES, Judge
from edit_rrm.judges.profiled import ProfiledJudge
from edit_rrm.judges.spec import SUFFIXES, JudgeSpec, ThinkingSpec, judge_file_beside, read_judge_file
from edit_rrm.judges.written import WrittenJudge

_GROUP: plugins.Group = "edit_rrm.judges"
_OURS: Mapping[str, Judge] = {
    "trained": ProfiledJudge(TrainedProfile()),
    "zero_shot": ProfiledJudge(ZeroShotProfile(), max_sources=MAX_SOURCES, thinking=ThinkingSpec()),
}
"""By the profile of a checkpoint's card."""


def judge_names() -> tuple[str, ...]:
    """Every name that `find_judge` knows: ours first, then those of other packages."""
    return tuple(dict.fromkeys([*_OURS, *sorted(_our_files()), *plugins.names(_GROUP)]))


def find_judge(wanted: str) -> Judge:
    """A judge by its name, or by the path of its file. Raises JudgeError naming those there are."""
    if wanted in _OURS:
        return _OURS[wanted]
    if wanted in _our_files():
        return WrittenJudge(read_judge_file(_our_files()[wanted]))
    if wanted in plugins.names(_GROUP):
        return _registered(wanted)
    file = Path(wanted)
    if file.suffix in SUFFIXES or file.is_file():
        return WrittenJudge(read_judge_file(file))
    raise JudgeError(f"there is no judge {wanted!r}, and no such file; there are {', '.join(judge_names())}")


def profiled(card: RRMCard) -> Judge:
    """The judge of a checkpoint whose card alone decides."""
    return _OURS[card.profile]


def chosen_judge(directory: Path | None, card: RRMCard, wanted: str | None = None) -> Judge | None:
    """Who judges with a checkpoint instead of its card's profile: `wanted`, else its judge file, else nobody.

    Raises JudgeError.
    """
    if wanted == card.profile:
        return None
    if wanted is not None:
        return find_judge(wanted)
    beside = None if directory is None else judge_file_beside(directory)
    return WrittenJudge(read_judge_file(beside)) if beside else None


def _our_files() -> dict[str, Path]:
    """The judge files of this package by name."""
    folder = resources.files("edit_rrm.judges") / "files"
    return {Path(str(file)).stem: Path(str(file)) for file in folder.iterdir() if file.name.endswith(".toml")}


def _registered(name: str) -> Judge:
    """What an entry point gives: a judge, a spec, or a judge file's path."""
    found: Any = plugins.load(_GROUP, name)
    if isinstance(found, JudgeSpec):
        return WrittenJudge(found)
    if isinstance(found, str | Path):
        return WrittenJudge(read_judge_file(Path(found)))
    if not all(hasattr(found, part) for part in ("asks", "read", "judgement")):
        raise JudgeError(f"the judge {name!r} is a {type(found).__name__}, no judge, spec or file")
    judge: Judge = found
    return judge
