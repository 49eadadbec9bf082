"""Images that show nothing in particular: plain walls, gradients, out-of-focus lights, patterns."""

from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw

from itrp.datasets.synthetic.dice import Dice
from itrp.datasets.synthetic.pen import Color, blend, jitter, shade

_HUES: tuple[Color, ...] = (
    (70, 110, 160),
    (150, 90, 130),
    (220, 170, 120),
    (90, 140, 120),
    (60, 60, 76),
    (206, 206, 200),
    (196, 110, 90),
    (130, 120, 180),
    (236, 214, 190),
    (40, 70, 90),
)


def fill_gradient(size: tuple[int, int], colors: Sequence[Color], sideways: bool = False) -> Image.Image:
    """A smooth run through the colours, from top to bottom or from left to right."""
    strip = Image.new("RGB", (len(colors), 1) if sideways else (1, len(colors)))
    strip.putdata(list(colors))
    # smooth along the run first, then copied across it: much cheaper than smoothing the whole area
    run = strip.resize((size[0], 1) if sideways else (1, size[1]), Image.Resampling.BICUBIC)
    return run.resize(size, Image.Resampling.NEAREST)


def _pick_colors(dice: Dice, count: int) -> list[Color]:
    return [jitter(color, dice, 24) for color in dice.sample(_HUES, count)]


def _pick_tones(dice: Dice) -> tuple[Color, Color]:
    """Two tones of a pattern, mostly close to each other, as on wallpaper."""
    first, second = _pick_colors(dice, 2)
    return first, blend(first, second, dice.between(0.15, 0.6))


def _paint_gradient(size: tuple[int, int], dice: Dice) -> Image.Image:
    return fill_gradient(size, _pick_colors(dice, dice.whole(2, 3)), sideways=dice.chance(0.3))


def _paint_wall(size: tuple[int, int], dice: Dice) -> Image.Image:
    color = _pick_colors(dice, 1)[0]
    return fill_gradient(size, (shade(color, 1.05), shade(color, 0.9)))


def _paint_cloud(size: tuple[int, int], dice: Dice) -> Image.Image:
    """Soft blotches of two colours, as in an image that is wholly out of focus."""
    colors = _pick_colors(dice, 3)
    cells = Image.new("RGB", (5, 5))
    cells.putdata([blend(dice.pick(colors), dice.pick(colors), dice.between(0, 1)) for _ in range(25)])
    return cells.resize(size, Image.Resampling.BICUBIC)


def _paint_bokeh(size: tuple[int, int], dice: Dice) -> Image.Image:
    dark, light = jitter((36, 34, 50), dice), _pick_colors(dice, 3)
    image = fill_gradient(size, (dark, shade(dark, 1.5)))
    draw = ImageDraw.Draw(image)
    for _ in range(dice.whole(8, 18)):
        x, y, r = dice.between(0, size[0]), dice.between(0, size[1]), dice.between(0.03, 0.1) * size[0]
        draw.ellipse((x - r, y - r, x + r, y + r), fill=blend(dark, dice.pick(light), dice.between(0.2, 0.55)))
    return image.resize((size[0] // 8, size[1] // 8), Image.Resampling.BOX).resize(size, Image.Resampling.BICUBIC)


def _paint_stripes(size: tuple[int, int], dice: Dice) -> Image.Image:
    first, second = _pick_tones(dice)
    image = Image.new("RGB", size, first)
    draw = ImageDraw.Draw(image)
    step, lean = dice.between(0.06, 0.16) * size[0], dice.pick((0.0, 0.6, -0.6)) * size[1]
    x = -abs(lean)
    while x < size[0] + abs(lean):
        draw.polygon([(x, 0), (x + step / 2, 0), (x + step / 2 + lean, size[1]), (x + lean, size[1])], fill=second)
        x += step
    return image


def _paint_dots(size: tuple[int, int], dice: Dice) -> Image.Image:
    first, second = _pick_tones(dice)
    image = Image.new("RGB", size, first)
    draw = ImageDraw.Draw(image)
    step = max(18.0, dice.between(0.08, 0.18) * size[0])
    radius = step * dice.between(0.15, 0.3)
    for row in range(int(size[1] / step) + 1):
        for column in range(int(size[0] / step) + 1):
            x, y = (column + 0.5 * (row % 2)) * step, row * step
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=second)
    return image


def _paint_confetti(size: tuple[int, int], dice: Dice) -> Image.Image:
    colors = _pick_colors(dice, 6)
    image = Image.new("RGB", size, colors[0])
    draw = ImageDraw.Draw(image)
    for _ in range(dice.whole(60, 120)):
        x, y, r = dice.between(0, size[0]), dice.between(0, size[1]), dice.between(0.01, 0.05) * size[0]
        color = dice.pick(colors)
        if dice.chance(0.5):
            draw.ellipse((x - r, y - r, x + r, y + r), fill=color)
        else:
            draw.polygon([(x - r, y), (x, y - r * 0.6), (x + r, y + r * 0.2), (x, y + r)], fill=color)
    return image


def _paint_mosaic(size: tuple[int, int], dice: Dice) -> Image.Image:
    colors = _pick_colors(dice, 5)
    columns, rows = dice.whole(7, 14), dice.whole(7, 14)
    cells = Image.new("RGB", (columns, rows))
    cells.putdata([shade(dice.pick(colors), dice.between(0.7, 1.25)) for _ in range(columns * rows)])
    return cells.resize(size, Image.Resampling.NEAREST)


PLAIN: tuple[Callable[[tuple[int, int], Dice], Image.Image], ...] = (
    _paint_gradient,
    _paint_wall,
    _paint_cloud,
    _paint_bokeh,
)
PATTERNED: tuple[Callable[[tuple[int, int], Dice], Image.Image], ...] = (_paint_stripes, _paint_dots)
BUSY: tuple[Callable[[tuple[int, int], Dice], Image.Image], ...] = (_paint_confetti, _paint_mosaic)


def paint_backdrop(size: tuple[int, int], kind: str, dice: Dice) -> Image.Image:
    """An image without a subject: kind `plain`, `patterned` or `busy`."""
    painters = {"plain": PLAIN, "patterned": PATTERNED, "busy": BUSY}[kind]
    return dice.pick(painters)(size, dice)
