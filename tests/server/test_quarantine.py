"""A prompt that the engine dies of is found, refused by name, and costs the others no more than a retry."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import Any

import httpx
import pytest
from running_service import Running, Start, until
from scripted_engine import ScriptedEngine
from small_calls import b64, picture, png
from test_engine_death import Loads, metric

from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Message, Prompt
from edit_rrm_server.engines.engine import Completion, SamplingSettings
from edit_rrm_server.engines.quarantine import Quarantine, prompt_key
from edit_rrm_server.errors import QuarantinedError, UnavailableError

LASTS_S = 60.0
GOOD = [png(picture((30, 30, 200 + n))) for n in range(7)]
YELLOW = (255, 255, 0)
DEADLY = png(picture(YELLOW))


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def quarantine(clock: Clock) -> Quarantine:
    return Quarantine(LASTS_S, clock=clock)


def die(quarantine: Quarantine, *keys: str) -> None:
    """The engine dies with these prompts in it, each of which is told so."""
    with suppress(UnavailableError), ExitStack() as inside:
        for key in keys:
            inside.enter_context(quarantine.inside(key))
        raise UnavailableError("engine_dead", "it died", 1.0)


async def passes(quarantine: Quarantine, key: str) -> bool:
    """Whether the prompt need not wait."""
    try:
        async with asyncio.timeout(0.02), quarantine.turn(key):
            return True
    except TimeoutError:
        return False


async def test_what_was_in_at_one_death_may_come_again(quarantine: Quarantine) -> None:
    die(quarantine, "a", "b")
    assert await passes(quarantine, "a")
    assert await passes(quarantine, "b")


async def test_what_was_alone_at_a_second_death_is_refused_until_that_has_passed(
    quarantine: Quarantine, clock: Clock
) -> None:
    die(quarantine, "a")
    clock.now_s = 30.0
    die(quarantine, "a")
    clock.now_s = 50.0
    with pytest.raises(QuarantinedError, match=r"died 2 times .* \(a\); it is refused for another 40 s"):
        await passes(quarantine, "a")
    clock.now_s = 90.0
    assert await passes(quarantine, "a")
    assert len(quarantine) == 0


async def test_suspects_run_one_at_a_time_and_others_beside_them(quarantine: Quarantine) -> None:
    die(quarantine, "a", "b")
    async with quarantine.turn("a"):
        assert not await passes(quarantine, "b")
        assert not await passes(quarantine, "a")
        assert await passes(quarantine, "new")
        waiting = asyncio.create_task(passes(quarantine, "b"))
    assert await waiting


async def test_the_suspect_among_others_is_the_one_and_they_are_none(quarantine: Quarantine) -> None:
    die(quarantine, "a", "b")
    die(quarantine, "a", "new", "newer")
    with pytest.raises(QuarantinedError):
        await passes(quarantine, "a")
    async with quarantine.turn("new"):
        assert await passes(quarantine, "newer")


async def test_a_text_clears_its_prompt(quarantine: Quarantine) -> None:
    die(quarantine, "a")
    with quarantine.inside("a"):
        pass
    die(quarantine, "a")
    assert await passes(quarantine, "a")


async def test_of_many_suspects_the_root_of_their_number_runs_at_once(quarantine: Quarantine) -> None:
    many = [f"{number}" for number in range(64)]
    die(quarantine, *many)
    async with AsyncExitStack() as turns:
        for key in many[:8]:
            await turns.enter_async_context(quarantine.turn(key))
        assert not await passes(quarantine, many[8])
    die(quarantine, *many[:8])  # the next death narrows it to those
    async with quarantine.turn(many[0]):
        assert not await passes(quarantine, many[1])
    die(quarantine, many[3])
    with pytest.raises(QuarantinedError, match="died 3 times"):
        await passes(quarantine, many[3])


async def test_a_death_counts_once_whoever_tells_of_it(quarantine: Quarantine) -> None:
    with suppress(UnavailableError), quarantine.inside("a"):
        quarantine.engine_died()
        raise UnavailableError("engine_dead", "it died", 1.0)
    assert await passes(quarantine, "a")


async def test_what_is_remembered_is_bounded_and_can_be_forgotten() -> None:
    quarantine = Quarantine(LASTS_S, capacity=3)
    die(quarantine, *"abcdef")
    assert len(quarantine) == 3
    quarantine.clear()
    assert len(quarantine) == 0


async def test_nobody_is_suspected_for_no_time() -> None:
    quarantine = Quarantine(0.0)
    die(quarantine, "a")
    die(quarantine, "a")
    assert await passes(quarantine, "a")


def test_a_prompt_is_known_by_text_images_and_adapter() -> None:
    prompt = Prompt((Message("user", (ImageSlot.SOURCE, "red?")),))
    other = Prompt((Message("user", (ImageSlot.SOURCE, "blue?")),))
    one, two = (
        {ImageSlot.SOURCE: EditImage.from_pil(picture(colour))} for colour in ((255, 0, 0), (0, 0, 255))
    )
    unseen = {**one, ImageSlot.CANDIDATE: two[ImageSlot.SOURCE]}
    assert prompt_key(prompt, one, "") == prompt_key(prompt, unseen, "")
    keys = [prompt_key(*each) for each in ((prompt, one, ""), (other, one, ""), (prompt, two, ""))]
    assert len({*keys, prompt_key(prompt, one, "lora")}) == 4


class Mortal(ScriptedEngine):
    """Dies of one picture, a moment after it has come in."""

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
        adapter: str = "",
    ) -> Completion:
        for _ in range(5):
            await asyncio.sleep(0)
        if ImageSlot.CANDIDATE in images and images[ImageSlot.CANDIDATE].image.getpixel((24, 24)) == YELLOW:
            self.alive = False
            await asyncio.Event().wait()
        return await super().generate(prompt, images, sampling, watched, group, adapter)


async def send(running: Running, files: list[bytes], **fields: Any) -> httpx.Response:
    """As a client does: again where the service says that it may."""
    for _ in range(10):
        await until(lambda: running.service.state == "ready")
        answer = await running.score(candidates=[b64(file) for file in files], guards="off", **fields)
        if answer.status_code != 503:
            return answer
    raise AssertionError("never answered")


async def test_one_deadly_candidate_costs_its_group_two_deaths_and_itself(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    running = await start(load=Loads(*(Mortal() for _ in range(5))), window=8, engine_restart_backoff_s=0.0)
    files = [*GOOD[:4], DEADLY, *GOOD[4:]]
    for _ in range(4):
        answer = await send(running, files)
        results = answer.json()["results"]
        if not any(r["status"] == "error" and r["error"]["code"] == "engine_dead" for r in results):
            break
    assert [result["status"] for result in results] == ["ok"] * 4 + ["error"] + ["ok"] * 3
    assert results[4]["error"]["code"] == "quarantined"
    assert results[4]["reward"] is None
    assert await metric(running, "edit_rrm_engine_deaths_total") == 2
    assert await metric(running, "edit_rrm_prompts_quarantined_total") == 1
    alone = await send(running, [DEADLY])
    assert (alone.status_code, alone.json()["code"]) == (502, "quarantined")
    assert await metric(running, "edit_rrm_engine_deaths_total") == 2
    assert "is refused for 3600 s: the engine has died of it" in caplog.text


async def test_sent_again_and_again_it_does_not_use_up_the_restarts(start: Start) -> None:
    loads = Loads(*(Mortal() for _ in range(9)))
    running = await start(load=loads, engine_restart_backoff_s=0.0, engine_restart_limit=3)
    for _ in range(6):
        answer = await send(running, [DEADLY], sampling={"temperature": 0.7, "seed": 1})
        assert answer.json()["code"] == "quarantined"
    assert await metric(running, "edit_rrm_engine_deaths_total") == 2
