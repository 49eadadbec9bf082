"""How vehicles, buildings, food and tools are drawn. Each fills its pen's box, standing on the lower edge."""

import math

from itrp.datasets.synthetic.pen import DARK, WHITE, Pen, blend, shade

_GLASS = (170, 206, 226)


def _draw_wheel(pen: Pen, x: float, y: float, rx: float, ry: float) -> None:
    pen.ellipse(x, y, rx, ry, DARK)
    pen.ellipse(x, y, rx * 0.5, ry * 0.5, (170, 170, 172))


def draw_car(pen: Pen) -> None:
    """Side view."""
    pen.polygon([(0.2, 0.5), (0.32, 0.14), (0.68, 0.14), (0.84, 0.5)], pen.main)
    pen.polygon([(0.27, 0.48), (0.36, 0.22), (0.49, 0.22), (0.49, 0.48)], _GLASS)
    pen.polygon([(0.53, 0.48), (0.53, 0.22), (0.65, 0.22), (0.75, 0.48)], _GLASS)
    pen.rectangle(0.02, 0.46, 0.98, 0.82, pen.main, 0.12)
    pen.rectangle(0.02, 0.68, 0.98, 0.74, shade(pen.main, 0.7))
    pen.ellipse(0.95, 0.56, 0.03, 0.06, (250, 236, 160))
    _draw_wheel(pen, 0.24, 0.82, 0.1, 0.18)
    _draw_wheel(pen, 0.76, 0.82, 0.1, 0.18)


def draw_bus(pen: Pen) -> None:
    """Side view, a row of windows."""
    pen.rectangle(0.0, 0.06, 1.0, 0.86, pen.main, 0.08)
    for step in range(5):
        pen.rectangle(0.05 + step * 0.155, 0.18, 0.17 + step * 0.155, 0.46, _GLASS)
    pen.rectangle(0.84, 0.18, 0.97, 0.8, blend(_GLASS, DARK, 0.25))
    pen.rectangle(0.0, 0.56, 0.82, 0.64, WHITE)
    _draw_wheel(pen, 0.22, 0.86, 0.08, 0.14)
    _draw_wheel(pen, 0.72, 0.86, 0.08, 0.14)


def draw_bicycle(pen: Pen) -> None:
    """Side view, diamond frame."""
    for x in (0.22, 0.78):
        pen.arc(x, 0.68, 0.21, 0.31, 0, 360, DARK, 0.05)
        pen.ellipse(x, 0.68, 0.03, 0.05, DARK)
    frame = [(0.22, 0.68), (0.4, 0.3), (0.68, 0.3), (0.48, 0.68), (0.22, 0.68)]
    pen.line(frame, pen.main, 0.06)
    pen.line([(0.48, 0.68), (0.36, 0.18)], pen.main, 0.06)
    pen.line([(0.78, 0.68), (0.66, 0.14), (0.78, 0.1)], pen.main, 0.06)
    pen.rectangle(0.27, 0.12, 0.45, 0.19, DARK)


def draw_boat(pen: Pen) -> None:
    """Hull, mast, two sails."""
    pen.line([(0.5, 0.02), (0.5, 0.75)], (110, 80, 50), 0.03)
    pen.polygon([(0.53, 0.04), (0.53, 0.68), (0.92, 0.68)], WHITE)
    pen.polygon([(0.47, 0.14), (0.47, 0.68), (0.16, 0.68)], pen.accent)
    pen.polygon([(0.02, 0.74), (0.98, 0.74), (0.8, 1.0), (0.18, 1.0)], pen.main)


def draw_house(pen: Pen) -> None:
    """Gable roof, door, two windows, chimney."""
    pen.rectangle(0.7, 0.08, 0.8, 0.35, (130, 80, 70))
    pen.rectangle(0.1, 0.42, 0.9, 1.0, blend(pen.main, WHITE, 0.45))
    pen.polygon([(0.0, 0.45), (0.5, 0.04), (1.0, 0.45)], shade(pen.accent, 0.8))
    pen.rectangle(0.43, 0.66, 0.58, 1.0, (110, 70, 44))
    for x in (0.18, 0.68):
        pen.rectangle(x, 0.56, x + 0.15, 0.74, _GLASS)
        pen.line([(x + 0.075, 0.56), (x + 0.075, 0.74)], WHITE, 0.02)


def draw_plane(pen: Pen) -> None:
    """Side view in the air."""
    pen.polygon([(0.06, 0.5), (0.0, 0.1), (0.12, 0.1), (0.24, 0.48)], pen.accent)
    pen.ellipse(0.5, 0.52, 0.49, 0.16, (232, 234, 238))
    pen.polygon([(0.38, 0.52), (0.2, 0.95), (0.34, 0.95), (0.6, 0.52)], shade(pen.accent, 0.85))
    for step in range(7):
        pen.ellipse(0.28 + step * 0.08, 0.47, 0.018, 0.03, (80, 110, 140))
    pen.polygon([(0.88, 0.45), (0.95, 0.45), (0.97, 0.52), (0.86, 0.52)], _GLASS)


def draw_rocket(pen: Pen) -> None:
    """Upright, with fins and flame."""
    pen.polygon([(0.36, 0.8), (0.64, 0.8), (0.5, 1.0)], (250, 170, 40))
    pen.polygon([(0.3, 0.5), (0.08, 0.84), (0.32, 0.8)], pen.main)
    pen.polygon([(0.7, 0.5), (0.92, 0.84), (0.68, 0.8)], pen.main)
    pen.rectangle(0.3, 0.26, 0.7, 0.8, (232, 232, 236), 0.05)
    pen.polygon([(0.3, 0.28), (0.5, 0.0), (0.7, 0.28)], pen.main)
    pen.ellipse(0.5, 0.45, 0.12, 0.08, (70, 120, 180))


def draw_cake(pen: Pen) -> None:
    """Two layers, icing, candles."""
    for x in (0.35, 0.5, 0.65):
        pen.rectangle(x - 0.015, 0.14, x + 0.015, 0.36, (90, 150, 210))
        pen.ellipse(x, 0.1, 0.025, 0.05, (250, 180, 50))
    pen.rectangle(0.06, 0.62, 0.94, 0.95, pen.main, 0.05)
    pen.rectangle(0.18, 0.36, 0.82, 0.66, blend(pen.main, WHITE, 0.35), 0.05)
    for step in range(6):
        pen.ellipse(0.22 + step * 0.112, 0.4, 0.06, 0.07, WHITE)
    for step in range(7):
        pen.ellipse(0.12 + step * 0.127, 0.66, 0.065, 0.07, shade(pen.accent, 1.1))
    pen.rectangle(0.0, 0.94, 1.0, 1.0, (210, 212, 216))


def draw_pizza(pen: Pen) -> None:
    """Whole, from above, with slices cut."""
    pen.ellipse(0.5, 0.5, 0.48, 0.48, (196, 140, 76))
    pen.ellipse(0.5, 0.5, 0.42, 0.42, (240, 202, 98))
    for step in range(8):
        angle, radius = step * 2.4, 0.14 + 0.03 * step
        pen.ellipse(0.5 + radius * math.cos(angle), 0.5 + radius * math.sin(angle), 0.065, 0.065, (190, 54, 44))
        pen.ellipse(
            0.5 + radius * math.cos(angle + 1),
            0.5 + radius * math.sin(angle + 1),
            0.028,
            0.028,
            (70, 120, 50),
        )
    for step in range(3):
        angle = step * math.pi / 3
        cos, sin = 0.48 * math.cos(angle), 0.48 * math.sin(angle)
        pen.line([(0.5 - cos, 0.5 - sin), (0.5 + cos, 0.5 + sin)], (170, 112, 60), 0.012)


def draw_burger(pen: Pen) -> None:
    """Bun, lettuce, cheese, patty."""
    pen.pie(0.5, 0.48, 0.46, 0.46, 180, 360, (214, 146, 74))
    for x, y in ((0.35, 0.22), (0.5, 0.14), (0.64, 0.22), (0.44, 0.3), (0.58, 0.32)):
        pen.ellipse(x, y, 0.025, 0.018, (250, 232, 190))
    for step in range(7):
        pen.ellipse(0.1 + step * 0.133, 0.52, 0.08, 0.06, (98, 170, 60))
    pen.rectangle(0.04, 0.56, 0.96, 0.64, (246, 196, 60))
    pen.rectangle(0.04, 0.62, 0.96, 0.76, (98, 56, 36), 0.05)
    pen.rectangle(0.06, 0.77, 0.94, 0.98, (206, 136, 66), 0.1)


def draw_coffee(pen: Pen) -> None:
    """A cup with handle, saucer and steam."""
    for x in (0.35, 0.5):
        pen.arc(x, 0.16, 0.05, 0.1, 90, 270, (226, 226, 228), 0.03)
        pen.arc(x, 0.3, 0.05, 0.08, -90, 90, (226, 226, 228), 0.03)
    pen.arc(0.76, 0.6, 0.15, 0.14, -90, 90, pen.main, 0.07)
    pen.polygon([(0.12, 0.42), (0.76, 0.42), (0.66, 0.9), (0.22, 0.9)], pen.main)
    pen.ellipse(0.44, 0.42, 0.32, 0.07, shade(pen.main, 0.8))
    pen.ellipse(0.44, 0.43, 0.28, 0.05, (84, 50, 30))
    pen.ellipse(0.44, 0.94, 0.44, 0.06, blend(pen.main, WHITE, 0.5))


def draw_icecream(pen: Pen) -> None:
    """Two scoops in a cone."""
    pen.polygon([(0.24, 0.5), (0.76, 0.5), (0.5, 1.0)], (214, 160, 90))
    for step in range(4):
        pen.line([(0.3 + step * 0.12, 0.52), (0.4 + step * 0.06, 0.8)], (176, 122, 62), 0.02)
    pen.ellipse(0.5, 0.4, 0.3, 0.2, pen.main)
    pen.ellipse(0.5, 0.2, 0.24, 0.18, pen.accent)
    pen.ellipse(0.5, 0.03, 0.06, 0.04, (200, 30, 50))


def draw_ball(pen: Pen) -> None:
    """A football."""
    pen.ellipse(0.5, 0.5, 0.48, 0.48, (160, 160, 160))
    pen.ellipse(0.49, 0.49, 0.46, 0.46, WHITE)
    _draw_pentagon(pen, 0.5, 0.5, 0.17)
    for step in range(5):
        angle = step * 2 * math.pi / 5 - math.pi / 2
        x, y = math.cos(angle), math.sin(angle)
        pen.line([(0.5 + 0.17 * x, 0.5 + 0.17 * y), (0.5 + 0.34 * x, 0.5 + 0.34 * y)], DARK, 0.02)
        _draw_pentagon(pen, 0.5 + 0.37 * x, 0.5 + 0.37 * y, 0.085)


def _draw_pentagon(pen: Pen, x: float, y: float, radius: float) -> None:
    angles = [step * 2 * math.pi / 5 - math.pi / 2 for step in range(5)]
    pen.polygon([(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles], DARK)


def draw_balloon(pen: Pen) -> None:
    """On a string."""
    pen.line([(0.5, 0.62), (0.44, 0.78), (0.54, 0.9), (0.5, 1.0)], (120, 120, 120), 0.02)
    pen.ellipse(0.5, 0.33, 0.4, 0.33, pen.main)
    pen.polygon([(0.44, 0.7), (0.56, 0.7), (0.5, 0.64)], shade(pen.main, 0.8))
    pen.ellipse(0.36, 0.2, 0.08, 0.07, blend(pen.main, WHITE, 0.6))


def draw_umbrella(pen: Pen) -> None:
    """Open, with a hooked handle."""
    pen.line([(0.5, 0.1), (0.5, 0.88)], (90, 70, 60), 0.035)
    pen.arc(0.43, 0.88, 0.07, 0.09, 0, 180, (90, 70, 60), 0.035)
    for start, color in ((180, pen.main), (225, pen.accent), (270, pen.main), (315, pen.accent)):
        pen.pie(0.5, 0.5, 0.48, 0.44, start, start + 45, color)


def draw_guitar(pen: Pen) -> None:
    """Upright, with neck, strings and sound hole."""
    pen.rectangle(0.44, 0.1, 0.56, 0.6, (80, 54, 40))
    pen.rectangle(0.4, 0.0, 0.6, 0.13, (60, 40, 30))
    pen.ellipse(0.5, 0.56, 0.26, 0.14, pen.main)
    pen.ellipse(0.5, 0.8, 0.36, 0.2, pen.main)
    pen.ellipse(0.5, 0.66, 0.12, 0.065, DARK)
    pen.rectangle(0.36, 0.84, 0.64, 0.87, (60, 40, 30))
    for x in (0.47, 0.5, 0.53):
        pen.line([(x, 0.05), (x, 0.85)], (226, 220, 200), 0.012)


def draw_clock(pen: Pen) -> None:
    """Round, twelve marks, two hands."""
    pen.ellipse(0.5, 0.5, 0.49, 0.49, pen.main)
    pen.ellipse(0.5, 0.5, 0.41, 0.41, WHITE)
    for step in range(12):
        x, y = math.cos(step * math.pi / 6), math.sin(step * math.pi / 6)
        pen.line([(0.5 + 0.33 * x, 0.5 + 0.33 * y), (0.5 + 0.39 * x, 0.5 + 0.39 * y)], DARK, 0.025)
    pen.line([(0.5, 0.5), (0.5, 0.2)], DARK, 0.035)
    pen.line([(0.5, 0.5), (0.7, 0.6)], DARK, 0.045)
    pen.ellipse(0.5, 0.5, 0.04, 0.04, DARK)


def draw_book(pen: Pen) -> None:
    """Open, lines of print on both pages."""
    pen.polygon([(0.0, 0.2), (0.5, 0.3), (1.0, 0.2), (1.0, 0.9), (0.5, 1.0), (0.0, 0.9)], pen.main)
    for near, far in ((0.48, 0.05), (0.52, 0.95)):
        pen.polygon([(near, 0.27), (far, 0.14), (far, 0.82), (near, 0.94)], WHITE)
        for step in range(6):
            y = 0.28 + step * 0.09
            pen.line([(far * 0.85 + near * 0.15, y), (far * 0.2 + near * 0.8, y + 0.08)], (150, 150, 150), 0.018)


def draw_lamp(pen: Pen) -> None:
    """A table lamp."""
    pen.rectangle(0.46, 0.45, 0.54, 0.95, (110, 100, 90))
    pen.ellipse(0.5, 0.95, 0.24, 0.05, (90, 80, 72))
    pen.polygon([(0.3, 0.05), (0.7, 0.05), (0.94, 0.5), (0.06, 0.5)], pen.main)
    pen.ellipse(0.5, 0.5, 0.44, 0.05, blend(pen.main, (255, 246, 200), 0.7))


def draw_chair(pen: Pen) -> None:
    """Four legs, seat, slatted back."""
    wood = pen.main
    for x, y in ((0.18, 1.0), (0.74, 1.0), (0.3, 0.9), (0.62, 0.9)):
        pen.rectangle(x, 0.55, x + 0.08, y, shade(wood, 0.7))
    pen.rectangle(0.14, 0.52, 0.86, 0.62, wood)
    for x in (0.2, 0.44, 0.7):
        pen.rectangle(x, 0.05, x + 0.09, 0.55, shade(wood, 0.85))
    pen.rectangle(0.16, 0.03, 0.83, 0.15, wood)


def draw_phone(pen: Pen) -> None:
    """Upright, with a grid of app icons."""
    pen.rectangle(0.0, 0.0, 1.0, 1.0, DARK, 0.12)
    pen.rectangle(0.07, 0.1, 0.93, 0.88, blend(pen.main, WHITE, 0.3))
    icons = (pen.accent, WHITE, (240, 180, 60), (90, 190, 120), (230, 90, 90), (120, 110, 220))
    for step in range(9):
        x, y = 0.2 + (step % 3) * 0.23, 0.2 + (step // 3) * 0.2
        pen.rectangle(x, y, x + 0.15, y + 0.12, icons[step % 6], 0.05)
    pen.ellipse(0.5, 0.94, 0.06, 0.03, (120, 120, 120))


def draw_gift(pen: Pen) -> None:
    """A box with ribbon and bow."""
    pen.rectangle(0.08, 0.36, 0.92, 1.0, pen.main)
    pen.rectangle(0.03, 0.26, 0.97, 0.44, shade(pen.main, 0.85))
    pen.rectangle(0.44, 0.26, 0.56, 1.0, pen.accent)
    pen.ellipse(0.36, 0.15, 0.16, 0.1, pen.accent)
    pen.ellipse(0.64, 0.15, 0.16, 0.1, pen.accent)
    pen.ellipse(0.5, 0.2, 0.06, 0.06, shade(pen.accent, 0.8))


def draw_hat(pen: Pen) -> None:
    """A wide-brimmed hat with a band."""
    pen.ellipse(0.5, 0.8, 0.49, 0.18, pen.main)
    pen.rectangle(0.25, 0.15, 0.75, 0.8, shade(pen.main, 1.1), 0.15)
    pen.rectangle(0.25, 0.58, 0.75, 0.74, pen.accent)


def draw_candle(pen: Pen) -> None:
    """Burning, in a holder."""
    pen.ellipse(0.5, 0.16, 0.16, 0.15, (255, 214, 110))
    pen.ellipse(0.5, 0.18, 0.08, 0.09, (252, 130, 40))
    pen.line([(0.5, 0.24), (0.5, 0.33)], DARK, 0.03)
    pen.rectangle(0.34, 0.32, 0.66, 0.92, pen.main)
    pen.ellipse(0.5, 0.32, 0.16, 0.03, blend(pen.main, WHITE, 0.5))
    pen.ellipse(0.5, 0.94, 0.36, 0.06, (150, 140, 120))


def draw_kite(pen: Pen) -> None:
    """A four-coloured diamond with a tail."""
    pen.line([(0.5, 0.68), (0.4, 0.8), (0.58, 0.9), (0.46, 1.0)], (90, 90, 90), 0.02)
    top, right, bottom, left, middle = (0.5, 0.0), (0.85, 0.28), (0.5, 0.7), (0.15, 0.28), (0.5, 0.28)
    pen.polygon([top, right, middle], pen.main)
    pen.polygon([right, bottom, middle], pen.accent)
    pen.polygon([bottom, left, middle], shade(pen.main, 0.8))
    pen.polygon([left, top, middle], shade(pen.accent, 0.85))
    for x, y in ((0.4, 0.8), (0.58, 0.9)):
        pen.polygon(
            [(x - 0.07, y - 0.03), (x + 0.07, y + 0.03), (x + 0.07, y - 0.03), (x - 0.07, y + 0.03)],
            pen.accent,
        )
