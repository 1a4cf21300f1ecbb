"""The shapes world's simulated editors as an editor of the data pipeline."""

from collections.abc import Callable

from PIL import Image

from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.errors import EditorError
from edit_rrm_training.pipeline.editors import Edited
from edit_rrm_training.pipeline.rows import DecomposedEdit


class ShapesEditor:
    """The shapes world's simulated editors: candidate k of the world's own edit, by reference, undrawn."""

    name = "shapes"

    def edit(self, edit: DecomposedEdit, number: int, source: Callable[[], Image.Image], seed: int) -> Edited:
        """See `Editor`; which of the four editors it was stands in the answer."""
        known = ShapesRef.parse(edit.source)
        if known is None or known.candidate is not None:
            raise EditorError(f"edit {edit.id}: the shapes editor needs a shapes:SEED/INDEX/source")
        wanted = ShapesRef(known.seed, known.index, number)
        return Edited(str(wanted), wanted.edit().candidates[number].editor)

    def close(self) -> None:
        """Nothing is held."""
