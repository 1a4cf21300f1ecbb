"""What the tiny model is taught: describe, compare, decompose and verify, one sample an index.

Describe and compare are the base model's tasks: naming what is where, in either image, in the very
words of the evidence. Decompose and verify are the product's tasks, asked with the prompts that are served.
"""

import random
from collections.abc import Mapping
from enum import StrEnum

from PIL import Image

from edit_rrm.judges.trained import TrainedProfile, principle_lines
from edit_rrm.principles import numbered
from edit_rrm.prompts import ImageSlot, Message, Prompt
from edit_rrm.traces import render_trace
from edit_rrm_shapes.world.dataset import Candidate, EditRecord, make_edit
from edit_rrm_shapes.world.gold import compare_thing, margin, pair, seen_tone, treatment
from edit_rrm_shapes.world.scene import CELLS, Scene, Thing, scene_of_look_alikes
from edit_rrm_training.data.samples import Sample

DESCRIBE_SYSTEM = "Describe the image."
COMPARE_SYSTEM = "Compare the images."
PROFILE = TrainedProfile()


class Task(StrEnum):
    """The tasks."""

    READ = "read"
    """Verification without its images: finding principles by number, copying, comparing, adding up."""
    DESCRIBE = "describe"
    """One image in the source's place."""
    DESCRIBE_EDITED = "describe_edited"
    """The second of two images."""
    COMPARE = "compare"
    """Both images, cell by cell: seen in the second, then seen in the first."""
    DECOMPOSE = "decompose"
    LOOK_ALIKES = "look_alikes"
    """Decompose where things share their colour, so that the shape tells the named one apart."""
    VERIFY = "verify"


READ_MIX: Mapping[Task, float] = {Task.READ: 1.0}
SEE_MIX: Mapping[Task, float] = {Task.DESCRIBE: 0.75, Task.READ: 0.25}
BASE_MIX: Mapping[Task, float] = {
    Task.DESCRIBE: 0.25,
    Task.DESCRIBE_EDITED: 0.2,
    Task.COMPARE: 0.4,
    Task.READ: 0.15,
}
SFT_MIX: Mapping[Task, float] = {
    Task.VERIFY: 0.74,
    Task.DECOMPOSE: 0.12,
    Task.COMPARE: 0.06,
    Task.READ: 0.08,
}
# Finding the thing an instruction names is learned last; verifying is nearly done by then.
POLISH_MIX: Mapping[Task, float] = {
    Task.VERIFY: 0.50,
    Task.DECOMPOSE: 0.42,
    Task.COMPARE: 0.04,
    Task.READ: 0.04,
}
# Of the scenes one thing in seven has another of its colour: to look at shapes, too, is worth little there.
FIND_MIX: Mapping[Task, float] = {
    Task.VERIFY: 0.40,
    Task.DECOMPOSE: 0.20,
    Task.LOOK_ALIKES: 0.32,
    Task.COMPARE: 0.04,
    Task.READ: 0.04,
}


def _describe_scene(scene: Scene) -> str:
    lines = [
        f"{CELLS[t.cell]}: {t.colour} {t.shape} {t.fill}" for t in sorted(scene.things, key=lambda t: t.cell)
    ]
    lines.append(f"objects: {len(scene.things)}")
    background = "mixed" if scene.lower_background else scene.background
    lines.append(f"background: {background}")
    lines.append(f"noise and blur: {treatment(scene)}")
    lines.append(f"frame and cast: {margin(scene)}")
    return "\n".join(lines)


def _compare_cell(cell: int, source: Thing | None, edited: Thing | None) -> str:
    """One cell of both images in the evidence's words."""
    if source is None:
        pairs = compare_thing(edited, (("presence", "empty"),))
    else:
        pairs = compare_thing(
            edited, (("colour", source.colour), ("shape", source.shape), ("fill", source.fill))
        )
    return f"{CELLS[cell]}: " + ", ".join(pair(*p) for p in pairs)


def _compare_scenes(source: Scene, edited: Scene) -> str:
    cells = sorted({t.cell for t in (*source.things, *edited.things)})
    lines = [_compare_cell(cell, source.at(cell), edited.at(cell)) for cell in cells]
    lines.append("objects: " + pair(str(len(edited.things)), str(len(source.things))))
    background = "mixed" if edited.lower_background else edited.background
    lines.append("background: " + pair(background, source.background))
    lines.append("tone: " + pair(seen_tone(edited), "normal"))
    lines.append("noise and blur: " + pair(treatment(edited), "none"))
    lines.append("frame and cast: " + pair(margin(edited), "none"))
    return "\n".join(lines)


def verify_prompt(edit: EditRecord) -> Prompt:
    """The served verification prompt of an edit with its gold principles."""
    principles = numbered((check.category, check.question) for check in edit.checks)
    return PROFILE.verify(edit.request.instruction, principles)


def verify_completion(candidate: Candidate) -> str:
    """The gold trace of a candidate."""
    return render_trace([(f.evidence, f.met) for f in candidate.findings], candidate.score)


def decompose_completion(edit: EditRecord) -> str:
    """The gold decomposition of an edit."""
    return principle_lines([(check.category, check.question) for check in edit.checks])


def _something_to_describe(edit: EditRecord, rng: random.Random) -> tuple[Image.Image, Scene]:
    """Mostly a source: flaws of quality come in small doses until places and colours are learned."""
    if rng.random() < 0.3:
        candidate = rng.choice(edit.candidates)
        return candidate.picture(), candidate.scene
    return edit.picture(), edit.source


def _without_images(prompt: Prompt) -> Prompt:
    return Prompt(
        tuple(
            Message(m.role, tuple(p for p in m.parts if not isinstance(p, ImageSlot)))
            for m in prompt.messages
        )
    )


def _decompose(edit: EditRecord) -> Sample:
    prompt = PROFILE.decompose(edit.request.instruction, seed=0)
    return Sample(prompt, (edit.picture(),), decompose_completion(edit))


def make_sample(task: Task, seed: int, index: int) -> Sample:
    """The sample number `index` of a task in world `seed`."""
    if task is Task.LOOK_ALIKES:
        return _decompose(make_edit(seed, index, 0, scene_of_look_alikes))
    edit = make_edit(seed, index, 4)
    if task is Task.DECOMPOSE:
        return _decompose(edit)
    candidate = edit.candidates[index % 4]
    if task is Task.READ:
        return Sample(_without_images(verify_prompt(edit)), (), verify_completion(candidate))
    source = edit.picture()
    if task is Task.DESCRIBE:
        picture, scene = _something_to_describe(edit, random.Random(f"describe-{seed}-{index}"))
        prompt = Prompt((Message("system", (DESCRIBE_SYSTEM,)), Message("user", (ImageSlot.SOURCE,))))
        return Sample(prompt, (picture,), _describe_scene(scene))
    images = (source, candidate.picture())
    if task is Task.VERIFY:
        return Sample(verify_prompt(edit), images, verify_completion(candidate), decompose_completion(edit))
    system = DESCRIBE_SYSTEM if task is Task.DESCRIBE_EDITED else COMPARE_SYSTEM
    user = Message("user", (ImageSlot.SOURCE, "edited:", ImageSlot.CANDIDATE))
    text = (
        _describe_scene(candidate.scene)
        if task is Task.DESCRIBE_EDITED
        else _compare_scenes(edit.source, candidate.scene)
    )
    return Sample(Prompt((Message("system", (system,)), user)), images, text)
