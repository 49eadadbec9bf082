"""How living things and the sky's lights are drawn. Each fills its pen's box, standing on the lower edge."""

import math

from itrp.datasets.synthetic.pen import DARK, WHITE, Pen, blend, shade


def draw_dog(pen: Pen) -> None:
    """Side view, long muzzle, hanging ear, raised tail."""
    body, ear = pen.main, shade(pen.main, 0.6)
    pen.line([(0.14, 0.55), (0.03, 0.32)], body, 0.09)
    for x in (0.16, 0.28, 0.58, 0.68):
        pen.rectangle(x, 0.65, x + 0.08, 1.0, shade(body, 0.85))
    pen.ellipse(0.42, 0.6, 0.33, 0.19, body)
    pen.polygon([(0.58, 0.6), (0.62, 0.25), (0.8, 0.3), (0.76, 0.65)], body)
    pen.ellipse(0.74, 0.27, 0.15, 0.16, body)
    pen.rectangle(0.76, 0.24, 0.97, 0.38, shade(body, 1.15), 0.06)
    pen.ellipse(0.96, 0.26, 0.04, 0.045, DARK)
    pen.ellipse(0.78, 0.2, 0.025, 0.03, DARK)
    pen.ellipse(0.64, 0.3, 0.065, 0.15, ear)
    pen.rectangle(0.6, 0.43, 0.78, 0.48, pen.accent)


def draw_cat(pen: Pen) -> None:
    """Sitting, front view, pointed ears, whiskers, curled tail."""
    fur, dark = pen.main, shade(pen.main, 0.7)
    pen.arc(0.78, 0.78, 0.18, 0.2, -60, 120, dark, 0.09)
    pen.ellipse(0.5, 0.76, 0.27, 0.25, fur)
    for x in (0.4, 0.6):
        pen.ellipse(x, 0.95, 0.08, 0.05, shade(fur, 1.2))
    pen.polygon([(0.26, 0.3), (0.28, 0.02), (0.46, 0.16)], fur)
    pen.polygon([(0.74, 0.3), (0.72, 0.02), (0.54, 0.16)], fur)
    pen.polygon([(0.31, 0.2), (0.31, 0.08), (0.39, 0.15)], (226, 160, 160))
    pen.polygon([(0.69, 0.2), (0.69, 0.08), (0.61, 0.15)], (226, 160, 160))
    pen.ellipse(0.5, 0.33, 0.26, 0.22, fur)
    for x in (0.4, 0.6):
        pen.ellipse(x, 0.31, 0.055, 0.05, (196, 208, 90))
        pen.ellipse(x, 0.31, 0.02, 0.05, DARK)
    pen.polygon([(0.47, 0.39), (0.53, 0.39), (0.5, 0.43)], (210, 120, 130))
    for y in (0.38, 0.43):
        pen.line([(0.3, y), (0.1, y - 0.03)], WHITE, 0.012)
        pen.line([(0.7, y), (0.9, y - 0.03)], WHITE, 0.012)
    for y in (0.66, 0.76):
        pen.arc(0.5, y, 0.18, 0.06, 20, 160, dark, 0.03)


def draw_bird(pen: Pen) -> None:
    """Side view on two thin legs, beak and wing."""
    pen.polygon([(0.25, 0.55), (0.0, 0.45), (0.04, 0.68)], shade(pen.main, 0.7))
    for x in (0.45, 0.55):
        pen.line([(x, 0.75), (x, 1.0)], (200, 130, 40), 0.03)
    pen.ellipse(0.46, 0.56, 0.3, 0.22, pen.main)
    pen.ellipse(0.7, 0.32, 0.17, 0.17, pen.main)
    pen.polygon([(0.85, 0.26), (1.0, 0.34), (0.85, 0.4)], (240, 170, 40))
    pen.ellipse(0.75, 0.28, 0.03, 0.035, DARK)
    pen.ellipse(0.5, 0.64, 0.2, 0.1, blend(pen.main, WHITE, 0.5))
    pen.polygon([(0.6, 0.48), (0.22, 0.5), (0.3, 0.72), (0.5, 0.66)], shade(pen.main, 0.75))


def draw_fish(pen: Pen) -> None:
    """Side view, fins, tail and stripes."""
    pen.polygon([(0.25, 0.5), (0.0, 0.2), (0.0, 0.8)], pen.accent)
    pen.polygon([(0.4, 0.25), (0.55, 0.02), (0.7, 0.28)], pen.accent)
    pen.ellipse(0.58, 0.5, 0.4, 0.32, pen.main)
    for x in (0.42, 0.58):
        pen.rectangle(x, 0.24, x + 0.06, 0.76, pen.accent)
    pen.ellipse(0.82, 0.42, 0.06, 0.08, WHITE)
    pen.ellipse(0.83, 0.42, 0.03, 0.04, DARK)
    pen.arc(0.95, 0.56, 0.07, 0.08, 90, 200, shade(pen.main, 0.5), 0.03)


def draw_horse(pen: Pen) -> None:
    """Side view, long legs, neck, mane and tail."""
    mane = shade(pen.main, 0.45)
    pen.line([(0.12, 0.42), (0.03, 0.7)], mane, 0.07)
    for x in (0.14, 0.24, 0.56, 0.65):
        pen.polygon([(x, 0.55), (x + 0.09, 0.55), (x + 0.07, 1.0), (x + 0.01, 1.0)], shade(pen.main, 0.8))
    pen.ellipse(0.4, 0.5, 0.31, 0.17, pen.main)
    pen.polygon([(0.52, 0.5), (0.72, 0.08), (0.85, 0.16), (0.72, 0.56)], pen.main)
    pen.polygon([(0.7, 0.08), (0.84, 0.06), (0.99, 0.29), (0.9, 0.35), (0.76, 0.24)], pen.main)
    pen.polygon([(0.7, 0.06), (0.5, 0.46), (0.56, 0.48), (0.75, 0.14)], mane)
    pen.polygon([(0.74, 0.09), (0.76, 0.0), (0.8, 0.08)], pen.main)
    pen.ellipse(0.81, 0.14, 0.018, 0.02, DARK)


def draw_butterfly(pen: Pen) -> None:
    """From above, four spotted wings."""
    for x in (0.27, 0.73):
        pen.ellipse(x, 0.34, 0.26, 0.29, pen.main)
        pen.ellipse(x + (0.06 if x < 0.5 else -0.06), 0.76, 0.17, 0.2, pen.accent)
        pen.ellipse(x, 0.3, 0.1, 0.12, blend(pen.main, WHITE, 0.6))
    pen.ellipse(0.5, 0.52, 0.045, 0.34, DARK)
    pen.line([(0.5, 0.2), (0.38, 0.02)], DARK, 0.02)
    pen.line([(0.5, 0.2), (0.62, 0.02)], DARK, 0.02)


def draw_tree(pen: Pen) -> None:
    """Brown trunk, round crown."""
    pen.polygon([(0.43, 1.0), (0.46, 0.5), (0.55, 0.5), (0.6, 1.0)], (104, 72, 46))
    for x, y, r, light in (
        (0.3, 0.42, 0.25, 0.85),
        (0.7, 0.42, 0.25, 0.8),
        (0.5, 0.25, 0.27, 1.0),
        (0.42, 0.3, 0.14, 1.15),
    ):
        pen.ellipse(x, y, r, r * 0.9, shade(pen.main, light))


def draw_flower(pen: Pen) -> None:
    """Stem, two leaves, a ring of petals."""
    pen.line([(0.5, 0.4), (0.5, 1.0)], (60, 130, 50), 0.06)
    pen.ellipse(0.34, 0.78, 0.17, 0.07, (70, 150, 60))
    pen.ellipse(0.66, 0.7, 0.17, 0.07, (60, 138, 52))
    for step in range(7):
        angle = step * 2 * math.pi / 7
        pen.ellipse(0.5 + 0.24 * math.cos(angle), 0.3 + 0.19 * math.sin(angle), 0.15, 0.12, pen.main)
    pen.ellipse(0.5, 0.3, 0.13, 0.1, (244, 200, 60) if pen.main[2] > 90 else (110, 66, 30))


def draw_cactus(pen: Pen) -> None:
    """A column with two arms and ribs."""
    pen.rectangle(0.38, 0.05, 0.62, 1.0, pen.main, 0.12)
    pen.rectangle(0.08, 0.35, 0.22, 0.62, pen.main, 0.07)
    pen.rectangle(0.08, 0.52, 0.42, 0.64, pen.main, 0.05)
    pen.rectangle(0.78, 0.22, 0.92, 0.52, pen.main, 0.07)
    pen.rectangle(0.58, 0.42, 0.92, 0.53, pen.main, 0.05)
    for x in (0.45, 0.5, 0.55):
        pen.line([(x, 0.1), (x, 0.98)], shade(pen.main, 0.65), 0.015)


def draw_mushroom(pen: Pen) -> None:
    """Pale stem, spotted cap."""
    pen.polygon([(0.4, 0.5), (0.6, 0.5), (0.68, 1.0), (0.32, 1.0)], (236, 224, 200))
    pen.pie(0.5, 0.55, 0.46, 0.48, 180, 360, pen.main)
    for x, y, r in ((0.3, 0.4, 0.06), (0.5, 0.22, 0.07), (0.7, 0.38, 0.06), (0.52, 0.45, 0.045)):
        pen.ellipse(x, y, r, r, WHITE)


def draw_pumpkin(pen: Pen) -> None:
    """Ribbed and orange, with a stalk."""
    pen.rectangle(0.46, 0.06, 0.55, 0.28, (90, 110, 50))
    for x, light in ((0.24, 0.8), (0.76, 0.8), (0.36, 0.92), (0.64, 0.92), (0.5, 1.05)):
        pen.ellipse(x, 0.6, 0.2, 0.39, shade(pen.main, light))


def draw_apple(pen: Pen) -> None:
    """Two lobes, stalk, leaf and a light spot."""
    pen.ellipse(0.36, 0.6, 0.3, 0.36, pen.main)
    pen.ellipse(0.64, 0.6, 0.3, 0.36, pen.main)
    pen.line([(0.5, 0.32), (0.54, 0.08)], (90, 60, 40), 0.05)
    pen.ellipse(0.68, 0.14, 0.14, 0.06, (90, 160, 60))
    pen.ellipse(0.28, 0.48, 0.07, 0.1, blend(pen.main, WHITE, 0.6))


def draw_banana(pen: Pen) -> None:
    """A yellow crescent with dark ends."""
    yellow = pen.main
    pen.polygon(
        [
            (0.05, 0.2),
            (0.16, 0.55),
            (0.4, 0.82),
            (0.7, 0.86),
            (0.96, 0.68),
            (0.9, 0.58),
            (0.68, 0.62),
            (0.44, 0.54),
            (0.28, 0.36),
            (0.17, 0.12),
        ],
        yellow,
    )
    pen.line([(0.12, 0.22), (0.24, 0.5), (0.45, 0.7), (0.7, 0.74), (0.92, 0.63)], shade(yellow, 0.82), 0.03)
    pen.polygon([(0.05, 0.2), (0.17, 0.12), (0.13, 0.02), (0.05, 0.05)], (92, 74, 30))
    pen.polygon([(0.96, 0.68), (0.9, 0.58), (0.98, 0.55)], (70, 56, 30))


def draw_snowman(pen: Pen) -> None:
    """Three balls, hat, carrot, buttons."""
    snow = (238, 242, 248)
    for y, r, light in ((0.8, 0.2, 0.9), (0.52, 0.155, 0.95), (0.3, 0.115, 1.0)):
        pen.ellipse(0.5, y, r * 1.5, r, shade(snow, light))
    pen.rectangle(0.26, 0.17, 0.74, 0.21, DARK)
    pen.rectangle(0.34, 0.02, 0.66, 0.19, DARK)
    pen.rectangle(0.34, 0.13, 0.66, 0.17, pen.accent)
    pen.polygon([(0.5, 0.29), (0.5, 0.33), (0.74, 0.32)], (240, 130, 40))
    for x in (0.43, 0.57):
        pen.ellipse(x, 0.265, 0.025, 0.016, DARK)
    for y in (0.47, 0.55):
        pen.ellipse(0.5, y, 0.03, 0.02, DARK)
    pen.line([(0.3, 0.5), (0.02, 0.38)], (100, 70, 45), 0.03)
    pen.line([(0.7, 0.5), (0.98, 0.38)], (100, 70, 45), 0.03)


def draw_sun(pen: Pen) -> None:
    """A disc with rays."""
    for step in range(12):
        angle = step * math.pi / 6
        cos, sin = math.cos(angle), math.sin(angle)
        pen.line(
            [(0.5 + 0.32 * cos, 0.5 + 0.32 * sin), (0.5 + 0.49 * cos, 0.5 + 0.49 * sin)],
            shade(pen.main, 0.95),
            0.05,
        )
    pen.ellipse(0.5, 0.5, 0.29, 0.29, pen.main)


def draw_moon(pen: Pen) -> None:
    """A bright disc with craters."""
    pen.ellipse(0.5, 0.5, 0.46, 0.46, pen.main)
    for x, y, r in ((0.38, 0.36, 0.1), (0.62, 0.6, 0.13), (0.4, 0.68, 0.07), (0.66, 0.3, 0.05)):
        pen.ellipse(x, y, r, r, shade(pen.main, 0.86))


def draw_heart(pen: Pen) -> None:
    """A heart."""
    pen.ellipse(0.28, 0.32, 0.25, 0.25, pen.main)
    pen.ellipse(0.72, 0.32, 0.25, 0.25, pen.main)
    pen.polygon([(0.06, 0.43), (0.94, 0.43), (0.5, 0.98)], pen.main)
    pen.polygon([(0.28, 0.3), (0.72, 0.3), (0.5, 0.6)], pen.main)
    pen.ellipse(0.24, 0.26, 0.08, 0.07, blend(pen.main, WHITE, 0.55))


def draw_rainbow(pen: Pen) -> None:
    """Six concentric arcs."""
    colors = ((214, 60, 60), (238, 140, 50), (244, 214, 70), (90, 180, 90), (70, 120, 210), (140, 80, 180))
    for step, color in enumerate(colors):
        radius = 0.48 - step * 0.055
        pen.arc(0.5, 0.98, radius, radius * 1.9, 180, 360, color, 0.13)
