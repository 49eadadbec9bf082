"""Scenes: a setting (sky over grass, a room, the sea) with things standing in it."""

from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw

from itrp.datasets.synthetic.backdrops import fill_gradient, paint_backdrop
from itrp.datasets.synthetic.dice import Dice
from itrp.datasets.synthetic.pen import Color, Pen, blend, jitter, shade
from itrp.datasets.synthetic.things import THINGS, Place, Thing

_SKIES: tuple[tuple[Color, Color], ...] = (
    ((90, 150, 220), (206, 228, 244)),
    ((120, 170, 214), (230, 236, 240)),
    ((150, 160, 176), (214, 216, 220)),
    ((90, 90, 150), (246, 170, 120)),
    ((60, 120, 200), (170, 214, 246)),
)


def _paint_land(image: Image.Image, dice: Dice, horizon: float, near: Color, far: Color) -> None:
    width, height = image.size
    top = round(horizon * height)
    image.paste(fill_gradient((width, height - top), (far, near)), (0, top))


def _paint_sky(size: tuple[int, int], dice: Dice) -> Image.Image:
    top, bottom = dice.pick(_SKIES)
    image = fill_gradient(size, (jitter(top, dice), jitter(bottom, dice)))
    width, height = size
    draw = ImageDraw.Draw(image)
    for _ in range(dice.whole(0, 3)):
        x, y, spread = (
            dice.between(0, width),
            dice.between(0, height * 0.35),
            dice.between(0.06, 0.12) * width,
        )
        for step in range(3):
            left, up = x + (step - 1) * spread * 0.8, y + (step % 2) * spread * 0.15
            draw.ellipse((left - spread, up - spread * 0.4, left + spread, up + spread * 0.4), fill=(242, 244, 247))
    return image


def _paint_meadow(size: tuple[int, int], dice: Dice) -> Image.Image:
    image = _paint_sky(size, dice)
    green = jitter((96, 150, 62), dice, 24)
    _paint_land(image, dice, dice.between(0.5, 0.65), shade(green, 0.75), green)
    return image


def _paint_sea(size: tuple[int, int], dice: Dice) -> Image.Image:
    image = _paint_sky(size, dice)
    width, height = size
    horizon = dice.between(0.42, 0.55)
    blue = jitter((44, 110, 150), dice, 20)
    _paint_land(image, dice, horizon, shade(blue, 0.7), blue)
    draw = ImageDraw.Draw(image)
    for _ in range(14):
        y = dice.between(horizon + 0.03, 1) * height
        x, length = dice.between(0, width), dice.between(0.04, 0.16) * width
        draw.line((x, y, x + length, y), fill=blend(blue, (255, 255, 255), 0.35), width=2)
    return image


def _paint_beach(size: tuple[int, int], dice: Dice) -> Image.Image:
    image = _paint_sky(size, dice)
    _paint_land(image, dice, 0.42, jitter((40, 130, 160), dice), jitter((70, 150, 180), dice))
    sand = jitter((222, 200, 150), dice)
    _paint_land(image, dice, dice.between(0.58, 0.66), shade(sand, 0.85), sand)
    return image


def _paint_snow(size: tuple[int, int], dice: Dice) -> Image.Image:
    image = _paint_sky(size, dice)
    _paint_land(image, dice, dice.between(0.5, 0.65), (206, 214, 226), (244, 247, 250))
    draw = ImageDraw.Draw(image)
    for _ in range(dice.whole(20, 50)):
        x, y, r = dice.between(0, size[0]), dice.between(0, size[1]), dice.between(1, 3)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(252, 252, 254))
    return image


def _paint_mountains(size: tuple[int, int], dice: Dice) -> Image.Image:
    image = _paint_sky(size, dice)
    width, height = size
    draw = ImageDraw.Draw(image)
    rock = jitter((112, 116, 130), dice)
    for step in range(3):
        x, peak, spread = (
            width * (0.1 + 0.4 * step),
            height * dice.between(0.1, 0.3),
            width * dice.between(0.3, 0.42),
        )
        draw.polygon(
            [(x - spread, height * 0.7), (x, peak), (x + spread, height * 0.7)],
            fill=shade(rock, 0.85 + 0.12 * step),
        )
        cap = 0.25
        down = peak + (height * 0.7 - peak) * cap
        draw.polygon(
            [(x - spread * cap, down), (x, peak), (x + spread * cap, down), (x, down - height * 0.03)],
            fill=(246, 248, 250),
        )
    _paint_land(image, dice, 0.68, jitter((70, 110, 60), dice), jitter((100, 140, 80), dice))
    return image


def _paint_desert(size: tuple[int, int], dice: Dice) -> Image.Image:
    image = _paint_sky(size, dice)
    width, height = size
    sand = jitter((222, 176, 110), dice)
    _paint_land(image, dice, 0.6, shade(sand, 0.85), sand)
    draw = ImageDraw.Draw(image)
    for _ in range(3):
        x, y, rx = dice.between(0, width), height * dice.between(0.62, 0.75), width * dice.between(0.3, 0.5)
        draw.pieslice((x - rx, y - height * 0.12, x + rx, y + height * 0.12), 180, 360, fill=jitter(sand, dice, 10))
    return image


def _paint_city(size: tuple[int, int], dice: Dice) -> Image.Image:
    image = _paint_sky(size, dice)
    width, height = size
    draw = ImageDraw.Draw(image)
    x = 0.0
    while x < width:
        wide, top = width * dice.between(0.1, 0.2), height * dice.between(0.12, 0.45)
        wall = jitter(dice.pick(((140, 130, 128), (110, 120, 136), (166, 150, 130), (96, 96, 104))), dice)
        draw.rectangle((x, top, x + wide, height * 0.75), fill=wall)
        for row in range(6):
            y = top + height * (0.03 + row * 0.075)
            for column in range(3):
                left = x + wide * (0.14 + column * 0.28)
                lit = (244, 222, 140) if dice.chance(0.3) else shade(wall, 0.6)
                draw.rectangle((left, y, left + wide * 0.16, y + height * 0.035), fill=lit)
        x += wide + 2
    _paint_land(image, dice, 0.72, (70, 70, 74), (110, 110, 112))
    return image


def _paint_room(size: tuple[int, int], dice: Dice) -> Image.Image:
    width, height = size
    wall = jitter(dice.pick(((214, 204, 186), (176, 194, 200), (200, 176, 170), (150, 160, 150))), dice)
    image = fill_gradient(size, (shade(wall, 1.06), shade(wall, 0.85)))
    floor = jitter((150, 110, 74), dice)
    _paint_land(image, dice, 0.68, shade(floor, 0.8), floor)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, height * 0.665, width, height * 0.685), fill=shade(wall, 0.7))
    for step in range(6):
        draw.line(
            (width * step / 5, height, width * (0.3 + step * 0.08), height * 0.69),
            fill=shade(floor, 0.7),
            width=1,
        )
    return image


def _paint_table(size: tuple[int, int], dice: Dice) -> Image.Image:
    wall = jitter(dice.pick(((120, 124, 130), (190, 180, 164), (96, 110, 104))), dice)
    image = fill_gradient(size, (shade(wall, 0.9), wall))
    wood = jitter(dice.pick(((164, 116, 70), (120, 82, 54), (206, 190, 164))), dice)
    top = dice.between(0.5, 0.6)
    _paint_land(image, dice, top, wood, shade(wood, 1.15))
    draw = ImageDraw.Draw(image)
    for step in range(1, 5):
        y = size[1] * (top + (1 - top) * step / 5)
        draw.line((0, y, size[0], y), fill=shade(wood, 0.82), width=1)
    return image


def _paint_night(size: tuple[int, int], dice: Dice) -> Image.Image:
    image = fill_gradient(size, (jitter((14, 18, 44), dice, 8), jitter((50, 56, 100), dice, 14)))
    draw = ImageDraw.Draw(image)
    for _ in range(dice.whole(25, 60)):
        x, y, r = dice.between(0, size[0]), dice.between(0, size[1] * 0.7), dice.between(0.5, 1.8)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(236, 236, 220))
    _paint_land(image, dice, dice.between(0.72, 0.8), (14, 20, 22), (26, 34, 36))
    return image


def _paint_studio(size: tuple[int, int], dice: Dice) -> Image.Image:
    """A backdrop like any wallpaper: what stands before it is all there is to see."""
    return paint_backdrop(size, "patterned" if dice.chance(0.2) else "plain", dice)


SETTINGS: dict[str, Callable[[tuple[int, int], Dice], Image.Image]] = {
    "meadow": _paint_meadow,
    "sea": _paint_sea,
    "beach": _paint_beach,
    "snow": _paint_snow,
    "mountains": _paint_mountains,
    "desert": _paint_desert,
    "city": _paint_city,
    "room": _paint_room,
    "table": _paint_table,
    "night": _paint_night,
    "studio": _paint_studio,
}
"""Every setting by name; `studio` is a bare backdrop that no tweet names."""

SUITING: dict[Place, tuple[str, ...]] = {
    "ground": ("meadow", "beach", "snow", "city", "room", "mountains", "desert", "studio"),
    "sky": ("meadow", "sea", "beach", "mountains", "night", "city", "desert"),
    "water": ("sea",),
    "table": ("table", "table", "room", "studio"),
}
"""Settings in which a thing of a place can be the subject."""

BY_DAY_ONLY = frozenset({"sun", "rainbow", "butterfly"})
"""Things that would look wrong at night."""

_STANDING: dict[Place, tuple[float, float]] = {
    "ground": (0.78, 0.97),
    "sky": (0.3, 0.56),
    "water": (0.66, 0.92),
    "table": (0.74, 0.96),
}
"""Where the lower edge of a thing comes to lie, as shares of the height."""


def paint_scene(
    size: tuple[int, int], setting: str, names: Sequence[str], dice: Dice, span: tuple[float, float] = (0, 1)
) -> Image.Image:
    """The setting with the named things in it, the first the largest, each wholly inside the image.

    span: the part of the width that the things keep to, as shares from the left.
    """
    image = SETTINGS[setting](size, dice)
    slots = dice.sample(range(len(names)), len(names))
    placed = [
        _place_thing(THINGS[name], size, rank, slot, len(names), span, dice)
        for rank, (name, slot) in enumerate(zip(names, slots, strict=True))
    ]
    # farther things (higher on the image) first, so that nearer ones overlap them
    for thing, box in sorted(placed, key=lambda item: item[1][1] + item[1][3]):
        _draw_thing(image, thing, box, setting, dice)
    return image


def _place_thing(
    thing: Thing, size: tuple[int, int], rank: int, slot: int, count: int, span: tuple[float, float], dice: Dice
) -> tuple[Thing, tuple[float, float, float, float]]:
    """Each thing gets a column of its own; a crowd is drawn smaller than a single subject."""
    start, width, height = span[0] * size[0], (span[1] - span[0]) * size[0], size[1]
    column = width / count
    scale = dice.between(0.95, 1.35) if count == 1 else dice.between(0.65, 0.95) * (1 if rank == 0 else 0.85)
    tall = thing.size * height * scale
    # hardly wider than its column, so that no thing can hide another
    tall = min(tall, column * 1.15 / thing.aspect, width * 0.92 / thing.aspect, height * 0.85)
    wide = tall * thing.aspect
    low, high = _STANDING[thing.place]
    bottom = max(dice.between(low, high) * height, tall + 2)
    middle = (slot + dice.between(0.42, 0.58)) * column
    left = start + min(max(middle - wide / 2, 2), width - wide - 2)
    return thing, (left, bottom - tall, wide, tall)


def _draw_thing(
    image: Image.Image, thing: Thing, box: tuple[float, float, float, float], setting: str, dice: Dice
) -> None:
    main, accent = jitter(dice.pick(thing.colors), dice), jitter(dice.pick(THINGS["balloon"].colors), dice)
    left, top, wide, tall = box
    if thing.place in ("ground", "table") and setting not in ("sea", "night"):
        bottom = top + tall
        under = image.getpixel((int(left + wide / 2), min(image.height - 1, int(bottom))))
        assert isinstance(under, tuple)
        shadow = (round(under[0] * 0.7), round(under[1] * 0.7), round(under[2] * 0.7))
        ImageDraw.Draw(image).ellipse(
            (left + wide * 0.02, bottom - tall * 0.04, left + wide * 1.05, bottom + tall * 0.05), fill=shadow
        )
    thing.draw(Pen(image, box, main, accent, flip=dice.chance(0.5)))
