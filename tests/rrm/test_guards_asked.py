"""What an instruction asks for, and whether a guard then decides."""

import time

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from edit_rrm.guards import EditGuards, GuardResult, asked_for, guard_modes, reward_ceiling
from edit_rrm.guards.modes import read_guards
from edit_rrm.guards.sizes import is_editors_size
from edit_rrm.images import EditImage


def _noise(size: tuple[int, int], std: float) -> Image.Image:
    """Grey noise, the same every time."""
    drawn = np.random.default_rng(7).normal(128, std, size[::-1])
    return Image.fromarray(np.clip(drawn, 0, 255).astype(np.uint8))


def photograph(width: int = 320, height: int = 240) -> Image.Image:
    """Soft blobs of many sizes: no line in it is flat or straight."""
    noise = _noise((width // 8, height // 8), 120).resize((width, height), Image.Resampling.BICUBIC)
    fine = _noise((width, height), 40).filter(ImageFilter.GaussianBlur(1))
    grey = Image.blend(noise, fine, 0.3)
    return ImageOps.colorize(grey, (20, 30, 90), (250, 220, 160))


PHOTOGRAPH = photograph()


def found(
    candidate: Image.Image, instruction: str | None, source: Image.Image = PHOTOGRAPH
) -> dict[str, GuardResult]:
    guards = EditGuards(EditImage.from_pil(source), instruction=instruction)
    return {result.name: result for result in guards.check(EditImage.from_pil(candidate))}


def framed(depth: int) -> Image.Image:
    return ImageOps.expand(PHOTOGRAPH.resize((320 - 2 * depth, 240 - 2 * depth)), depth, (255, 255, 255))


@pytest.mark.parametrize(
    ("instruction", "what"),
    [
        ("Make the sky slightly warmer", "fine"),
        ("把画面调亮一点", "fine"),
        ("Straighten the horizon", "movement"),
        ("放大人物", "movement"),
        ("Add a white polaroid frame", "frame"),
        ("给图片加上黑色边框", "frame"),
        ("extend it to a square", "shape"),
        ("裁剪成16:9", "shape"),
        ("Fill the image with plain white", "plain"),
        ("把整张图涂成黑色", "plain"),
        ("Please keep the image unchanged.", "nothing"),
        ("保持原样", "nothing"),
        ("Do not make any changes to the image", "nothing"),
        ("Leave it alone", "nothing"),
        ("Output the image without changes", "nothing"),
        ("图片保持不变", "nothing"),
        ("soften the skin", "fine"),
        ("fade the photo like an old print", "fine"),
        ("make it dark and moody", "fine"),
        ("surround the photo with a thick black edge", "frame"),
        ("paint the picture over in blue", "plain"),
    ],
)
def test_an_instruction_that_asks_is_known(instruction: str, what: str) -> None:
    assert getattr(asked_for(instruction), what)


@pytest.mark.parametrize(
    "instruction",
    [
        "Replace the cat with a dog", "remove the man on the left", "add a ball",
        "Change the car to red and keep everything else unchanged", "把猫换成狗",
        "Replace 'TRAIN' with 'PLANE'", "put a hat on her head", "删除左边的人", "把卡车换成公交车",
        "replace the dark car with a red bicycle", "put a plain white t-shirt on the man",
        "fill the glass with water", "replace the poster on the wall", "a warm coat on the boy",
        "add a black and white cat", "give her wide trousers", "add a label to the bottle",
    ],
)  # fmt: skip
def test_a_plain_edit_asks_for_nothing_that_guards_know(instruction: str) -> None:
    asked = asked_for(instruction)
    assert asked.understood
    assert not any((asked.nothing, asked.fine, asked.movement, asked.frame, asked.shape, asked.plain))


@pytest.mark.parametrize(
    "instruction",
    ["Füge einen roten Ballon hinzu", "赤いボールを追加して", "добавь мяч", "أضف كرة", "tambahkan bola"],
)
def test_a_language_nobody_here_knows_leaves_frame_and_shape_to_the_judge(instruction: str) -> None:
    border = found(framed(20), instruction)["border"]
    assert (border.triggered, border.decides) == (True, False)
    assert "language" in border.note
    assert found(PHOTOGRAPH.copy(), instruction)["no_edit"].decides  # pixels speak every language


@pytest.mark.parametrize(
    ("guard", "candidate", "asks", "asks_not"),
    [
        ("border", framed(20), "add a white frame", "make the cat blue"),
        ("size", PHOTOGRAPH.resize((300, 104)), "crop it to a banner", "make the cat blue"),
        (
            "blank",
            Image.new("RGB", (320, 240), "black"),
            "make the whole picture black",
            "make the cat black",
        ),
        ("no_edit", PHOTOGRAPH.copy(), "leave the picture as it is", "make the cat blue"),
        (
            "no_edit",
            ImageEnhance.Brightness(PHOTOGRAPH).enhance(1.02),
            "make it slightly brighter",
            "add a hat",
        ),
        ("no_edit", PHOTOGRAPH.filter(ImageFilter.UnsharpMask(1, 30)), "sharpen the photo", "add a hat"),
    ],
)
def test_a_guard_does_not_decide_what_was_asked_for(
    guard: str, candidate: Image.Image, asks: str, asks_not: str
) -> None:
    told, decided = (found(candidate, instruction)[guard] for instruction in (asks, asks_not))
    assert (told.triggered, told.decides) == (True, False)
    assert told.note.startswith("the instruction asks")
    assert (decided.triggered, decided.decides, decided.note) == (True, True, "")


def test_the_same_pixels_are_no_fine_change() -> None:
    assert found(PHOTOGRAPH.copy(), "make it slightly brighter")["no_edit"].decides


@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (0, 2), (3, -3)])
def test_a_shift_is_undone_and_told(dx: int, dy: int) -> None:
    source = photograph(640, 480)
    shifted = source.transform(source.size, Image.Transform.AFFINE, (1, 0, -dx, 0, 1, -dy))
    result = found(shifted, "add a hat", source)["no_edit"]
    assert result.decides
    assert result.alignment is not None
    assert result.alignment.shift_x == pytest.approx(dx / 640, abs=4e-4)
    assert result.alignment.shift_y == pytest.approx(dy / 480, abs=4e-4)
    assert not found(shifted, "move the picture, then crop", source)["no_edit"].decides


def test_a_turn_and_a_zoom_are_told_in_their_direction() -> None:
    source = photograph(640, 480)
    larger = source.crop((8, 6, 632, 474)).resize((640, 480), Image.Resampling.BICUBIC)
    zoomed = found(larger, "add a hat", source)["no_edit"]
    assert zoomed.decides
    assert zoomed.alignment is not None
    assert zoomed.alignment.zoom == pytest.approx(640 / 624, abs=2e-3)
    turned = found(source.rotate(-0.7, Image.Resampling.BICUBIC), "add a hat", source)["no_edit"]
    assert turned.alignment is not None
    assert turned.alignment.degrees == pytest.approx(0.7, abs=0.05)  # Pillow turns the other way round


def test_a_small_thing_in_a_large_copy_is_an_edit() -> None:
    source = photograph(1200, 900)
    edited = source.copy()
    edited.paste((255, 0, 0), (601, 433, 606, 438))
    result = found(edited, "add a button", source)["no_edit"]
    assert (result.triggered, result.note) == (False, "alike but for something small or thin")
    assert found(source.copy(), "add a button", source)["no_edit"].triggered


@pytest.mark.parametrize(
    ("source", "candidate"),
    [
        ((1080, 1350), (944, 1104)),  # FLUX.1-Kontext
        ((740, 800), (384, 384)), ((1300, 800), (640, 416)),  # Qwen-Image-Edit at 384 x 384, at 512 x 512
        ((4032, 3024), (1024, 1024)), ((640, 427), (512, 512)),  # trainers that make squares
        ((700, 1200), (1024, 1536)),  # GPT-Image
    ],
)  # fmt: skip
def test_an_editor_s_own_size_is_no_fault_of_the_edit(
    source: tuple[int, int], candidate: tuple[int, int]
) -> None:
    assert is_editors_size(source, candidate)
    size = found(Image.new("RGB", candidate), "add a hat", Image.new("RGB", source))["size"]
    assert (size.triggered, size.decides) == (True, False)
    assert size.note


@pytest.mark.parametrize(("source", "candidate"), [((640, 480), (640, 300)), ((512, 512), (700, 400))])
def test_another_shape_is_a_fault(source: tuple[int, int], candidate: tuple[int, int]) -> None:
    assert found(Image.new("RGB", candidate), "add a hat", Image.new("RGB", source))["size"].decides


def test_modes_are_laid_one_over_the_other() -> None:
    assert guard_modes() == dict.fromkeys(("no_edit", "blank", "border", "size"), "enforce")
    assert guard_modes({"size": "report"}, None, {"border": "off"}) == {
        "no_edit": "enforce", "blank": "enforce", "border": "off", "size": "report",
    }  # fmt: skip
    assert set(guard_modes({"size": "report"}, "off").values()) == {"off"}


def test_a_guard_that_only_reports_limits_nothing() -> None:
    guards = EditGuards(EditImage.from_pil(PHOTOGRAPH), modes=guard_modes("report"))
    results = guards.check(EditImage.from_pil(PHOTOGRAPH))
    assert results[0].triggered
    assert reward_ceiling(results) is None
    assert not EditGuards(EditImage.from_pil(PHOTOGRAPH), modes=guard_modes("off")).check(
        EditImage.from_pil(PHOTOGRAPH)
    )


def test_words_of_a_command_line_are_read() -> None:
    assert read_guards(None) is None
    assert read_guards("report") == "report"
    assert read_guards("size=report, border=off") == {"size": "report", "border": "off"}
    for text in ("on", "size", "size=on", "sizes=off", "size=off;border=off"):
        with pytest.raises(ValueError, match="expected enforce, report, off"):
            read_guards(text)


def test_reading_an_instruction_takes_no_time_whatever_it_is() -> None:
    started = time.process_time()
    for text in ("1" * 4000, "1x" * 2000, "make it " * 500, "框" * 4000):
        asked_for(text)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("end", [(60, 120, 210), (250, 160, 90)])
def test_a_sky_that_changes_towards_the_horizon_is_no_bar(end: tuple[int, int, int]) -> None:
    sky = np.linspace(end, (190, 215, 240), 300)[:, None].repeat(400, 1).astype(np.uint8)
    source = photograph(400, 300)
    whole, part = sky.copy(), np.asarray(source).copy()
    part[:180] = sky[:180]
    for edited in (whole, part):
        border = found(Image.fromarray(edited), "make the sky clear", source)["border"]
        assert not border.triggered, border


def test_rain_all_over_a_picture_is_an_edit() -> None:
    source = photograph(900, 700).filter(ImageFilter.GaussianBlur(6))
    drawn = ImageDraw.Draw(rainy := source.copy())
    for number in range(400):
        x, y = (number * 377) % 900, (number * 211) % 700
        drawn.line((x, y, x - 4, y + 14), fill=tuple(min(255, v + 60) for v in source.getpixel((x, y))))  # type: ignore[union-attr]
    result = found(rainy, "make it rain", source)["no_edit"]
    assert not result.decides
    assert result.note == "alike but for something small or thin"
