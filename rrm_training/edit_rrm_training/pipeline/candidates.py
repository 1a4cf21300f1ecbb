"""Step 2: editors make candidates; every (edit, editor, number) becomes a quadruple."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edit_rrm.images import encode_png
from edit_rrm.shard import WHOLE, Shard
from edit_rrm.whole_files import write_whole
from edit_rrm_training.data.pictures import load_image, rebased
from edit_rrm_training.endpoints.endpoint import Meter, seed_of
from edit_rrm_training.errors import StepError
from edit_rrm_training.pipeline.editors import Edited, Editor
from edit_rrm_training.pipeline.journal import read_unique
from edit_rrm_training.pipeline.rows import DecomposedEdit, Quadruple
from edit_rrm_training.pipeline.running import StepReport, Task, run_step


async def candidates(
    editors: Sequence[Editor],
    per_editor: int,
    seed: int,
    edits: Path,
    out: Path,
    *,
    shard: Shard = WHOLE,
    retry_failed: bool = False,
    on_done: Callable[[], None] = lambda: None,
) -> StepReport:
    """Reads DecomposedEdit, of which `shard` is done, writes Quadruple to its file of `out`, and new pictures
    to `candidates/` beside it. One at a time: an editor has the accelerator to itself until it is done.

    Raises StepError for two editors of one name, whose candidates could not be told apart.
    """
    names = [editor.name for editor in editors]
    if len(set(names)) < len(names):
        raise StepError(f"candidates: several editors have one name: {', '.join(names)}")

    def tasks() -> Iterator[Task[tuple[DecomposedEdit, Editor, int]]]:
        for editor in editors:
            for edit in shard.of(read_unique(edits, DecomposedEdit)):
                for number in range(per_editor):
                    yield Task(f"{edit.id}/{editor.name}-{number}", (edit, editor, number))
            editor.close()

    async def work(task: tuple[DecomposedEdit, Editor, int], meter: Meter) -> Quadruple:
        edit, editor, number = task
        name = f"{edit.id}/{editor.name}-{number}"
        edited = editor.edit(edit, number, lambda: load_image(edit.source, edits.parent), seed_of(seed, name))
        return Quadruple(
            id=name, edit=edit.id, instruction=edit.instruction,
            source=rebased(edit.source, edits.parent, out.parent), candidate=_kept(edited, name, out.parent),
            principles=edit.principles, editor=edited.editor, category=edit.category,
        )  # fmt: skip

    return await run_step(
        "candidates", tasks(), work, shard.file(out), Quadruple,
        concurrency=1, retry_failed=retry_failed, on_done=on_done,
    )  # fmt: skip


def _kept(edited: Edited, name: str, directory: Path) -> str:
    """The reference to a candidate; a new picture is written whole before it gets its name."""
    if isinstance(edited.picture, str):
        return edited.picture
    # The digest keeps names apart that are alike without their odd characters.
    plain = re.sub(r"[^\w.-]+", "_", name)
    path = directory / "candidates" / f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.png"
    write_whole(path, encode_png(edited.picture))
    return str(path.relative_to(directory))
