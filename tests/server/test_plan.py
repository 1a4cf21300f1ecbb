"""Every prompt says which group it is of, so that a fleet can keep a group together."""

from running_service import Running
from small_calls import BLUE, RED, b64, picture, png

SAMPLED = {"temperature": 0.7}


async def test_all_prompts_on_one_source_and_instruction_are_one_group(running: Running) -> None:
    await running.score(principles=None, candidates=[b64(BLUE)] * 3, samples=2, sampling=SAMPLED)
    groups = [asked.group for asked in running.engine.asked]
    assert len(groups) == 1 + 3 * 2  # the decomposition is one of them
    assert len(set(groups)) == 1
    assert len(groups[0]) == 32


async def test_another_instruction_or_source_is_another_group(running: Running) -> None:
    green = b64(png(picture((30, 220, 30))))
    await running.score()
    await running.score(instruction="make the red circle green")
    await running.score(source=green)
    await running.score(source=b64(RED), candidates=[green])  # the first one's group
    groups = [asked.group for asked in running.engine.asked]
    assert len(set(groups[:3])) == 3
    assert groups[3] == groups[0]
