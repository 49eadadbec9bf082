"""A pen that draws in the unit square of a box: a thing is described once and placed anywhere."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from itrp.datasets.synthetic.dice import Dice

Color = tuple[int, int, int]

DARK: Color = (38, 34, 34)
WHITE: Color = (246, 246, 242)


def shade(color: Color, factor: float) -> Color:
    """The colour made darker (factor < 1) or lighter (factor > 1)."""
    red, green, blue = (max(0, min(255, round(part * factor))) for part in color)
    return red, green, blue


def blend(first: Color, second: Color, share: float) -> Color:
    """`share` of the second colour mixed into the first."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def jitter(color: Color, dice: Dice, amount: int = 18) -> Color:
    """The colour, each channel moved by up to `amount`."""
    red, green, blue = (max(0, min(255, part + dice.whole(-amount, amount))) for part in color)
    return red, green, blue


class Pen:
    """Draws in coordinates 0..1 (x right, y down) of a box; `flip` mirrors left and right."""

    def __init__(
        self,
        image: Image.Image,
        box: tuple[float, float, float, float],
        main: Color,
        accent: Color,
        flip: bool = False,
    ) -> None:
        self._draw = ImageDraw.Draw(image)
        self._left, self._top, self._width, self._height = box
        self._flip = flip
        self.main = main
        """The thing's own colour."""
        self.accent = accent
        """A second colour."""

    def _point(self, x: float, y: float) -> tuple[float, float]:
        return self._left + (1 - x if self._flip else x) * self._width, self._top + y * self._height

    def _corners(self, x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        left, top = self._point(x1 if self._flip else x0, y0)
        right, bottom = self._point(x0 if self._flip else x1, y1)
        return left, top, max(left, right), max(top, bottom)

    def _stroke(self, width: float) -> int:
        return max(1, round(width * min(self._width, self._height)))

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Color) -> None:
        """A filled ellipse around (x, y)."""
        self._draw.ellipse(self._corners(x - rx, y - ry, x + rx, y + ry), fill=fill)

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, fill: Color, radius: float = 0) -> None:
        """A filled rectangle, with round corners when `radius` is given."""
        corners = self._corners(x0, y0, x1, y1)
        if radius and min(corners[2] - corners[0], corners[3] - corners[1]) > 4:
            self._draw.rounded_rectangle(corners, radius=self._stroke(radius), fill=fill)
        else:
            self._draw.rectangle(corners, fill=fill)

    def polygon(self, points: Sequence[tuple[float, float]], fill: Color) -> None:
        """A filled polygon."""
        self._draw.polygon([self._point(x, y) for x, y in points], fill=fill)

    def line(self, points: Sequence[tuple[float, float]], fill: Color, width: float = 0.04) -> None:
        """A line through the points."""
        self._draw.line([self._point(x, y) for x, y in points], fill=fill, width=self._stroke(width), joint="curve")

    def arc(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        start: float,
        end: float,
        fill: Color,
        width: float = 0.04,
    ) -> None:
        """Part of an ellipse's outline, angles in degrees clockwise from three o'clock."""
        start, end = (180 - end, 180 - start) if self._flip else (start, end)
        self._draw.arc(self._corners(x - rx, y - ry, x + rx, y + ry), start, end, fill=fill, width=self._stroke(width))

    def pie(self, x: float, y: float, rx: float, ry: float, start: float, end: float, fill: Color) -> None:
        """A filled slice of an ellipse, angles as in `arc`."""
        start, end = (180 - end, 180 - start) if self._flip else (start, end)
        self._draw.pieslice(self._corners(x - rx, y - ry, x + rx, y + ry), start, end, fill=fill)
