"""Images made of words: posters and screenshots, lettered with Pillow's own scalable font."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from itrp.datasets.synthetic.backdrops import paint_backdrop
from itrp.datasets.synthetic.dice import Dice
from itrp.datasets.synthetic.pen import DARK, WHITE, Color, blend, jitter, shade

_INKS: tuple[Color, ...] = (
    (30, 36, 60),
    (150, 30, 40),
    (20, 80, 70),
    (80, 40, 100),
    (40, 40, 40),
    (190, 90, 20),
    (24, 70, 130),
)
_GREY: Color = (140, 144, 150)


@dataclass(frozen=True, slots=True)
class Board:
    """What is lettered in an image."""

    look: str
    """A key of `LOOKS`."""
    title: str
    lines: tuple[str, ...] = ()


@lru_cache(maxsize=64)
def _load_font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    rows = [""]
    for word in text.split():
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and font.getlength(longer) > width:
            rows.append(word)
        else:
            rows[-1] = longer
    return rows


def _fit(text: str, width: float, height: float, largest: int) -> tuple[ImageFont.FreeTypeFont, list[str]]:
    """The largest font (down to 11 pixels) in which the wrapped text fits the box, and its rows."""
    size = max(11, largest)
    while True:
        font = _load_font(size)
        rows = _wrap(text, font, width)
        if size <= 11 or (len(rows) * size * 1.15 <= height and all(font.getlength(row) <= width for row in rows)):
            return font, rows
        size = max(11, int(size * 0.85))


def _letter(
    draw: ImageDraw.ImageDraw,
    text: str,
    box: tuple[float, float, float, float],
    fill: Color,
    largest: int,
    center: bool = False,
) -> float:
    """Letter the text into the box (left, top, width, height); returns the y below the last row."""
    left, top, width, height = box
    font, rows = _fit(text, width, height, largest)
    for row in rows:
        x = left + (width - font.getlength(row)) / 2 if center else left
        draw.text((x, top), row, font=font, fill=fill)
        top += font.size * 1.18
    return top


def _paint_poster(size: tuple[int, int], board: Board, dice: Dice) -> Image.Image:
    width, height = size
    ink = jitter(dice.pick(_INKS), dice)
    if dice.chance(0.35):
        backdrop = paint_backdrop(size, dice.pick(("plain", "patterned")), dice)
        image, fill = Image.blend(backdrop, Image.new("RGB", size, ink), 0.75), WHITE
    elif dice.chance(0.5):
        image, fill = Image.new("RGB", size, ink), dice.pick((WHITE, (250, 220, 110), (240, 240, 200)))
    else:
        image, fill = Image.new("RGB", size, jitter((240, 232, 214), dice, 12)), ink
    draw = ImageDraw.Draw(image)
    if dice.chance(0.6):
        edge = round(width * 0.03)
        draw.rectangle((edge, edge, width - edge, height - edge), outline=fill, width=max(2, edge // 3))
    share = 0.78 if not board.lines else 0.42
    y = _letter(
        draw,
        board.title.upper(),
        (width * 0.08, height * 0.1, width * 0.84, height * share),
        fill,
        round(height * 0.17),
        True,
    )
    draw.line((width * 0.3, y + 6, width * 0.7, y + 6), fill=fill, width=2)
    room = max(12.0, (height * 0.92 - y - 12) / max(1, len(board.lines)))
    for number, line in enumerate(board.lines):
        _letter(
            draw,
            line,
            (width * 0.08, y + 14 + number * room, width * 0.84, room),
            fill,
            round(min(room * 0.7, height * 0.085)),
            True,
        )
    return image


def _paint_chat(size: tuple[int, int], board: Board, dice: Dice) -> Image.Image:
    width, height = size
    dark = dice.chance(0.3)
    ground: Color = (24, 26, 30) if dark else (236, 238, 240)
    own = dice.pick(((70, 140, 240), (90, 190, 110), (120, 100, 220)))
    image = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, height * 0.11), fill=shade(ground, 1.4 if dark else 0.92))
    _letter(
        draw,
        board.title,
        (width * 0.2, height * 0.035, width * 0.7, height * 0.07),
        _GREY,
        round(height * 0.05),
    )
    draw.ellipse((width * 0.05, height * 0.025, width * 0.05 + height * 0.065, height * 0.09), fill=own)
    room = height * 0.85 / max(1, len(board.lines))
    for number, line in enumerate(board.lines):
        top, mine = height * 0.14 + number * room, number % 2 == 1
        left = width * (0.26 if mine else 0.04)
        box = (left, top, left + width * 0.7, top + room * 0.86)
        draw.rounded_rectangle(box, radius=10, fill=own if mine else ((70, 72, 78) if dark else (255, 255, 255)))
        fill = WHITE if mine or dark else DARK
        _letter(
            draw,
            line,
            (left + 10, top + room * 0.12, width * 0.7 - 20, room * 0.7),
            fill,
            round(min(room * 0.36, height * 0.055)),
        )
    return image


def _paint_article(size: tuple[int, int], board: Board, dice: Dice) -> Image.Image:
    width, height = size
    image = Image.new("RGB", size, (252, 252, 250))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, height * 0.09), fill=jitter(dice.pick(_INKS), dice))
    y = (
        _letter(
            draw,
            board.title,
            (width * 0.06, height * 0.13, width * 0.88, height * 0.34),
            DARK,
            round(height * 0.1),
        )
        + 6
    )
    for line in board.lines:
        y = (
            _letter(
                draw,
                line,
                (width * 0.06, y, width * 0.88, height * 0.18),
                (80, 84, 90),
                round(height * 0.055),
            )
            + 4
        )
    while y < height * 0.96:  # the small print: bars, as in an image too small to read
        draw.rectangle((width * 0.06, y, width * dice.between(0.7, 0.94), y + height * 0.014), fill=(186, 188, 192))
        y += height * 0.035
    return image


def _paint_list(size: tuple[int, int], board: Board, dice: Dice) -> Image.Image:
    width, height = size
    ground: Color = dice.pick(((250, 250, 250), (34, 36, 42), (244, 240, 226)))
    fill = DARK if ground[0] > 128 else WHITE
    image = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(image)
    accent = jitter(dice.pick(_INKS), dice)
    draw.rectangle((0, 0, width, height * 0.15), fill=accent)
    _letter(
        draw,
        board.title,
        (width * 0.05, height * 0.035, width * 0.9, height * 0.1),
        WHITE,
        round(height * 0.08),
    )
    room = height * 0.83 / max(1, len(board.lines))
    for number, line in enumerate(board.lines):
        top = height * 0.16 + number * room
        draw.rectangle(
            (width * 0.05, top + room * 0.25, width * 0.05 + room * 0.3, top + room * 0.55),
            fill=blend(accent, WHITE, 0.4),
        )
        _letter(
            draw,
            line,
            (width * 0.07 + room * 0.4, top + room * 0.2, width * 0.86 - room * 0.4, room * 0.7),
            fill,
            round(min(room * 0.45, height * 0.07)),
        )
        draw.line((width * 0.05, top + room, width * 0.95, top + room), fill=blend(ground, fill, 0.2), width=1)
    return image


def _paint_chart(size: tuple[int, int], board: Board, dice: Dice) -> Image.Image:
    width, height = size
    image = Image.new("RGB", size, (252, 252, 252))
    draw = ImageDraw.Draw(image)
    _letter(
        draw,
        board.title,
        (width * 0.06, height * 0.04, width * 0.88, height * 0.18),
        DARK,
        round(height * 0.09),
    )
    room = width * 0.88 / max(1, len(board.lines))
    accent = jitter(dice.pick(_INKS), dice)
    for number, line in enumerate(board.lines):
        left, top = width * 0.06 + number * room, height * dice.between(0.3, 0.7)
        draw.rectangle(
            (left + room * 0.15, top, left + room * 0.85, height * 0.82),
            fill=blend(accent, WHITE, number * 0.12),
        )
        _letter(draw, line, (left, height * 0.84, room, height * 0.15), DARK, round(height * 0.05), True)
    draw.line((width * 0.05, height * 0.82, width * 0.95, height * 0.82), fill=DARK, width=2)
    return image


LOOKS: dict[str, Callable[[tuple[int, int], Board, Dice], Image.Image]] = {
    "poster": _paint_poster,
    "chat": _paint_chat,
    "article": _paint_article,
    "list": _paint_list,
    "chart": _paint_chart,
}
"""Every look of a board by name."""


def hang_board(image: Image.Image, board: Board, left_half: bool, dice: Dice) -> None:
    """Letter the board in a frame on one half of the image."""
    width, height = round(image.width * 0.5), round(image.height * dice.between(0.68, 0.84))
    margin = round(image.width * dice.between(0.025, 0.05))
    left = margin if left_half else image.width - margin - width
    top = dice.whole(8, max(8, round(image.height * 0.9) - height))
    frame = jitter(dice.pick(((90, 64, 44), DARK, (190, 190, 186))), dice)
    ImageDraw.Draw(image).rectangle((left - 4, top - 4, left + width + 3, top + height + 3), fill=frame)
    image.paste(paint_board((width, height), board, dice), (left, top))


def paint_board(size: tuple[int, int], board: Board, dice: Dice) -> Image.Image:
    """The board as an image: every word of it is lettered."""
    return LOOKS[board.look](size, board, dice)
