"""The catalogue of nameable things: what each is called, where it stands in a scene, how it is drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from itrp.datasets.synthetic import drawings_living as living
from itrp.datasets.synthetic import drawings_made as made
from itrp.datasets.synthetic.pen import Color, Pen

Place = Literal["ground", "sky", "water", "table"]

_ANY: tuple[Color, ...] = (
    (204, 52, 48),
    (232, 132, 40),
    (240, 200, 60),
    (70, 150, 80),
    (52, 110, 190),
    (130, 74, 170),
    (226, 110, 160),
    (60, 170, 180),
)
_FUR: tuple[Color, ...] = (
    (150, 100, 56),
    (206, 168, 116),
    (90, 66, 50),
    (190, 130, 70),
    (120, 112, 108),
    (222, 206, 180),
)
_GREEN: tuple[Color, ...] = ((58, 128, 60), (86, 146, 58), (44, 104, 66), (120, 150, 60))
_WARM: tuple[Color, ...] = ((250, 212, 80), (252, 190, 60), (255, 226, 120))


@dataclass(frozen=True, slots=True)
class Thing:
    """A class of objects."""

    name: str
    """The word a tweet names it by; unique in the catalogue, and no other word of the generator's."""
    draw: Callable[[Pen], None]
    place: Place
    size: float
    """Height as a share of the image's height when the thing is the subject."""
    aspect: float
    """Width / height."""
    colors: tuple[Color, ...] = _ANY
    tag: str = ""
    """Hashtag that goes with it, without the hash sign; the name when empty."""

    @property
    def hashtag(self) -> str:
        """Hashtag that goes with the thing, without the hash sign."""
        return self.tag or self.name


_CATALOGUE = (
    Thing("dog", living.draw_dog, "ground", 0.42, 1.2, _FUR, "dogsoftwitter"),
    Thing("cat", living.draw_cat, "ground", 0.42, 0.85, _FUR, "caturday"),
    Thing("bird", living.draw_bird, "ground", 0.3, 1.1, _ANY, "birdwatching"),
    Thing("fish", living.draw_fish, "water", 0.3, 1.5, _ANY),
    Thing("horse", living.draw_horse, "ground", 0.52, 1.15, _FUR),
    Thing("butterfly", living.draw_butterfly, "sky", 0.3, 1.1, _ANY),
    Thing("tree", living.draw_tree, "ground", 0.66, 0.85, _GREEN, "nature"),
    Thing("flower", living.draw_flower, "ground", 0.44, 0.62, _ANY, "garden"),
    Thing("cactus", living.draw_cactus, "ground", 0.48, 0.7, _GREEN),
    Thing("mushroom", living.draw_mushroom, "ground", 0.32, 0.95, ((190, 50, 44), (170, 110, 66), (206, 90, 60))),
    Thing("pumpkin", living.draw_pumpkin, "table", 0.34, 1.15, ((230, 124, 36), (214, 106, 40)), "fall"),
    Thing(
        "apple",
        living.draw_apple,
        "table",
        0.28,
        1.0,
        ((196, 40, 44), (120, 170, 56), (222, 180, 60)),
        "healthy",
    ),
    Thing("banana", living.draw_banana, "table", 0.26, 1.35, ((244, 210, 70), (236, 196, 60))),
    Thing("snowman", living.draw_snowman, "ground", 0.56, 0.66, _ANY, "winter"),
    Thing("sun", living.draw_sun, "sky", 0.26, 1.0, _WARM, "sunshine"),
    Thing("moon", living.draw_moon, "sky", 0.24, 1.0, ((240, 236, 214), (250, 240, 196))),
    Thing("heart", living.draw_heart, "sky", 0.26, 1.05, ((206, 40, 60), (232, 90, 130)), "love"),
    Thing("rainbow", living.draw_rainbow, "sky", 0.36, 1.9),
    Thing("car", made.draw_car, "ground", 0.3, 2.0, _ANY, "cars"),
    Thing("bus", made.draw_bus, "ground", 0.36, 1.9, _ANY),
    Thing("bicycle", made.draw_bicycle, "ground", 0.34, 1.5, _ANY, "cycling"),
    Thing("boat", made.draw_boat, "water", 0.44, 0.95, _ANY, "sailing"),
    Thing("house", made.draw_house, "ground", 0.52, 1.1, _ANY, "realestate"),
    Thing("plane", made.draw_plane, "sky", 0.22, 2.2, _ANY, "avgeek"),
    Thing("rocket", made.draw_rocket, "sky", 0.44, 0.55, _ANY, "space"),
    Thing(
        "cake",
        made.draw_cake,
        "table",
        0.36,
        1.15,
        ((226, 150, 170), (150, 96, 60), (240, 220, 180)),
        "baking",
    ),
    Thing("pizza", made.draw_pizza, "table", 0.42, 1.1, _ANY, "foodie"),
    Thing("burger", made.draw_burger, "table", 0.32, 1.1, _ANY, "foodporn"),
    Thing(
        "coffee",
        made.draw_coffee,
        "table",
        0.34,
        1.1,
        ((236, 236, 232), (200, 60, 56), (60, 110, 170)),
        "monday",
    ),
    Thing(
        "icecream",
        made.draw_icecream,
        "table",
        0.42,
        0.55,
        ((246, 226, 190), (232, 150, 170), (120, 78, 52)),
        "yum",
    ),
    Thing("football", made.draw_ball, "ground", 0.22, 1.0, _ANY, "matchday"),
    Thing("balloon", made.draw_balloon, "sky", 0.42, 0.6, _ANY, "party"),
    Thing("umbrella", made.draw_umbrella, "ground", 0.46, 0.95, _ANY, "weather"),
    Thing(
        "guitar",
        made.draw_guitar,
        "ground",
        0.56,
        0.42,
        ((180, 110, 50), (150, 60, 40), (60, 90, 140)),
        "livemusic",
    ),
    Thing("clock", made.draw_clock, "table", 0.34, 1.0, _ANY),
    Thing("book", made.draw_book, "table", 0.26, 1.5, _ANY, "amreading"),
    Thing("lamp", made.draw_lamp, "table", 0.42, 0.6, _ANY, "homedecor"),
    Thing("chair", made.draw_chair, "ground", 0.46, 0.66, _FUR, "interiors"),
    Thing("phone", made.draw_phone, "table", 0.36, 0.52, _ANY, "tech"),
    Thing("gift", made.draw_gift, "table", 0.3, 1.0, _ANY, "birthday"),
    Thing("hat", made.draw_hat, "table", 0.24, 1.5, _FUR, "ootd"),
    Thing("candle", made.draw_candle, "table", 0.36, 0.5, ((236, 226, 200), (180, 60, 70)), "cozy"),
    Thing("kite", made.draw_kite, "sky", 0.36, 0.8, _ANY),
)

THINGS: dict[str, Thing] = {thing.name: thing for thing in _CATALOGUE}
"""Every thing by name."""
