"""A file that is known is not decoded again."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from running_service import Start
from small_calls import RED, b64

from edit_rrm.images import EditImage
from edit_rrm_server.scoring import image_intake
from edit_rrm_server.scoring.known_images import KnownImages


def image(side: int = 10) -> EditImage:
    return EditImage.from_pil(Image.new("RGB", (side, side)))


def test_an_image_is_made_once_and_the_oldest_go_first() -> None:
    known = KnownImages(1000)
    made: list[str] = []

    def get(name: str) -> EditImage:
        return known.get(name, lambda: made.append(name) or image())  # type: ignore[func-returns-value]

    first = get("a")
    assert get("a") is first
    get("b")
    get("a")
    get("c")  # 400 bytes each: one has to go
    assert known.size_bytes == 800
    get("a")
    assert made == ["a", "b", "c"]
    get("b")
    assert made == ["a", "b", "c", "b"]


def test_what_is_larger_than_all_of_it_is_not_kept() -> None:
    known = KnownImages(100)
    assert known.get("a", image) is not known.get("a", image)
    assert known.size_bytes == 0


def test_a_failure_is_told_to_all_who_wait_and_not_kept() -> None:
    known, begun, goes_on = KnownImages(1000), threading.Event(), threading.Event()

    def fails() -> EditImage:
        begun.set()
        goes_on.wait(30)
        raise ValueError("broken")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(known.get, "a", fails)
        begun.wait(30)
        second = pool.submit(known.get, "a", image)
        goes_on.set()
        for waiting in (first, second):
            error = waiting.exception(30)
            assert error is None or str(error) == "broken"
        assert str(first.exception(30)) == "broken"
    assert known.get("a", image).width == 10


def test_who_asks_meanwhile_waits_for_the_same_image() -> None:
    known, begun, goes_on = KnownImages(1000), threading.Event(), threading.Event()

    def slow() -> EditImage:
        begun.set()
        goes_on.wait(30)
        return image()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(known.get, "a", slow)
        begun.wait(30)
        second = pool.submit(known.get, "a", lambda: pytest.fail("made twice"))
        goes_on.set()
        assert first.result(30) is second.result(30)


async def test_the_source_of_a_group_in_several_calls_is_decoded_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await start(score_cache_mib=0)
    decoded: list[str] = []
    decode = image_intake.decode_image

    def watched(data: bytes, *rest: object, **options: object) -> EditImage:
        decoded.append(str(options["digest"]))
        return decode(data, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(image_intake, "decode_image", watched)
    for _ in range(3):
        assert (await running.score(source=b64(RED))).status_code == 200
    assert len(decoded) == len(set(decoded)) == 2  # the source and the candidate
    running.assert_idle()
