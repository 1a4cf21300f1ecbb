"""Step 2: editors make candidates; every (edit, editor, number) becomes a quadruple."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from edit_rrm.images import encode_png
from edit_rrm.shard import WHOLE, Shard
from edit_rrm.whole_files import write_whole
from edit_rrm_training.data.pictures import load_image, rebased
from edit_rrm_training.endpoints.endpoint import Meter, seed_of
from edit_rrm_training.errors import StepError
from edit_rrm_training.pipeline.editors import BatchEditor, Edited, Editor
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
    batch: int = 1,
    shard: Shard = WHOLE,
    retry_failed: bool = False,
    on_done: Callable[[], None] = lambda: None,
) -> StepReport:
    """Reads DecomposedEdit, of which `shard` is done, writes Quadruple to its file of `out`, and new pictures
    to `candidates/` beside it. One editor after the other has the accelerator to itself; one that can makes
    `batch` candidates of an edit at once, of a seed each.

    Raises StepError for two editors of one name, whose candidates could not be told apart.
    """
    names = [editor.name for editor in editors]
    if len(set(names)) < len(names):
        raise StepError(f"candidates: several editors have one name: {', '.join(names)}")

    def tasks() -> Iterator[Task[tuple[DecomposedEdit, Editor, int]]]:
        for editor in editors:
            for edit in shard.of(read_unique(edits, DecomposedEdit)):
                for number in range(per_editor):
                    yield Task(_name(edit, editor, number), (edit, editor, number))
            editor.close()

    ahead: dict[str, Edited] = {}  # made together with an earlier one

    def edited_by(editor: Editor, edit: DecomposedEdit, number: int) -> Edited:
        numbers = range(number, min(per_editor, number + batch))
        names = [_name(edit, editor, one) for one in numbers]
        if names[0] in ahead:
            return ahead.pop(names[0])
        ahead.clear()
        seeds = [seed_of(seed, name) for name in names]

        def source() -> Image.Image:
            return load_image(edit.source, edits.parent)

        if len(numbers) == 1 or not isinstance(editor, BatchEditor):
            return editor.edit(edit, number, source, seeds[0])
        first, *others = editor.edit_batch(edit, numbers, source, seeds)
        ahead.update(zip(names[1:], others, strict=True))
        return first

    async def work(task: tuple[DecomposedEdit, Editor, int], meter: Meter) -> Quadruple:
        edit, editor, number = task
        name = _name(edit, editor, number)
        edited = edited_by(editor, edit, number)
        return Quadruple(
            id=name, edit=edit.id, instruction=edit.instruction,
            source=rebased(edit.source, edits.parent, out.parent), candidate=_kept(edited, name, out.parent),
            principles=edit.principles, editor=edited.editor, category=edit.category,
        )  # fmt: skip

    return await run_step(
        "candidates", tasks(), work, shard.file(out), Quadruple,
        concurrency=1, retry_failed=retry_failed, on_done=on_done,
    )  # fmt: skip


def _name(edit: DecomposedEdit, editor: Editor, number: int) -> str:
    return f"{edit.id}/{editor.name}-{number}"


def _kept(edited: Edited, name: str, directory: Path) -> str:
    """The reference to a candidate; a new picture is written whole before it gets its name."""
    if isinstance(edited.picture, str):
        return edited.picture
    # The digest keeps names apart that are alike without their odd characters.
    plain = re.sub(r"[^\w.-]+", "_", name)
    path = directory / "candidates" / f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.png"
    write_whole(path, encode_png(edited.picture))
    return str(path.relative_to(directory))
