"""The oracle of the shapes world: scenes read back from pixels, for measuring only (docs/shapes.md)."""

from edit_rrm_shapes.oracle.judging import Judgement, judge, judge_reading
from edit_rrm_shapes.oracle.reading import Reading, read_scene

__all__ = ["Judgement", "Reading", "judge", "judge_reading", "read_scene"]
