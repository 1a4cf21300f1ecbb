"""The oracle of the shapes world: scenes read back from pixels, for measuring only (docs/shapes.md).

It must not know who made a picture; nothing trains on what it says (an import contract).
"""

from edit_rrm_shapes.oracle.judging import Judgement, judge, judge_reading
from edit_rrm_shapes.oracle.reading import Reading, read_scene

__all__ = ["Judgement", "Reading", "judge", "judge_reading", "read_scene"]
