"""Pairs of a text and an image with known truth, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count as count_on
from itertools import islice
from typing import Literal

from PIL import Image

from itrp.datasets.synthetic.backdrops import paint_backdrop
from itrp.datasets.synthetic.boards import Board, hang_board, paint_board
from itrp.datasets.synthetic.camera import add_grain, encode_image, photograph
from itrp.datasets.synthetic.dice import Dice
from itrp.datasets.synthetic.matched import QUARTET, plan_quartet
from itrp.datasets.synthetic.plans import plan_pair
from itrp.datasets.synthetic.recipes import Recipe
from itrp.datasets.synthetic.scenes import paint_scene
from itrp.errors import DataError

Margins = Literal["natural", "matched"]
"""natural: texts and images as they come, each telling something of the labels. matched: every text and every image once in a
pair that matches and once in one that does not, so that only both together tell the text label."""

_FIRST_TWEET: dict[Margins, datetime] = {
    "natural": datetime(2016, 1, 1, tzinfo=UTC),
    "matched": datetime(2020, 1, 1, tzinfo=UTC),
}
"""Far apart: an id holds the time, and one store may hold both."""
_SPACING_MS = 5 * 60 * 1000
_SNOWFLAKE_EPOCH_MS = 1288834974657
_SNOWFLAKE_LOW_BITS = 22
_MIXER = 0x9E3779B1
"""Odd, so that seed -> seed * _MIXER is one-to-one modulo 2^22: no two seeds below 4,194,304 share an id."""

PHOTOGRAPHED = 0.6
"""Share of screenshots and graphics that are photographs of a screen or of paper."""

_LEGIBLE = 400
"""Least width in pixels of an image that shows a board beside other things."""

_SIDES: tuple[tuple[int, int], ...] = (
    (360, 360),
    (320, 320),
    (400, 300),
    (448, 336),
    (320, 240),
    (300, 400),
    (270, 360),
    (480, 270),
    (416, 234),
    (270, 480),
    (360, 240),
    (380, 290),
)


@dataclass(frozen=True, slots=True)
class SyntheticTweet:
    """A made-up tweet with its image and the truth about both."""

    id: str
    """18 or 19 digits; its high bits are the time, as in the ids of the real service."""
    text: str
    image: bytes
    suffix: str
    """The image's format as a file name ending: .jpg, .png or .webp."""
    created_at: datetime
    """Timezone-aware, UTC."""
    text_is_represented: int
    image_adds: int


def generate_tweets(
    count: int, seed: int, start: int = 0, *, jpeg_only: bool = False, margins: Margins = "natural"
) -> Iterator[SyntheticTweet]:
    """Tweets start .. start+count-1 of a seed; tweet i depends on (seed, i) alone, so any slice can be had
    by itself.

    With `jpeg_only` every image is a JPEG; the texts, labels, and the images that are JPEG anyway are
    the same. With `margins="matched"` tweets 4i .. 4i+3 are a quartet of two texts and two images.
    Raises DataError for a negative count, seed or start.
    """
    if min(count, seed, start) < 0:
        raise DataError(
            f"expected a count, seed and start of 0 or more, "
            f"found count={count}, seed={seed}, start={start}; give other numbers"
        )
    if margins == "matched":
        return islice(_generate_quartets(seed, start // QUARTET, jpeg_only), start % QUARTET, start % QUARTET + count)
    return (_generate_tweet(seed, index, jpeg_only) for index in range(start, start + count))


def plan_tweet(seed: int, index: int, margins: Margins = "natural") -> Recipe:
    """What tweet `index` of a seed says and shows, in words: the reason of its labels."""
    if margins == "matched":
        return plan_quartet(seed, index // QUARTET).recipe(index % QUARTET)
    return plan_pair(Dice(seed, index))


def _generate_tweet(seed: int, index: int, jpeg_only: bool) -> SyntheticTweet:
    dice = Dice(seed, index)
    recipe = plan_pair(dice)
    created_at = _draw_time("natural", index, dice)
    return _make_tweet(seed, recipe, created_at, _draw_image(recipe, dice, jpeg_only))


def _generate_quartets(seed: int, first: int, jpeg_only: bool) -> Iterator[SyntheticTweet]:
    """The tweets of quartet `first` and of all after it; each image is drawn once, so that its two tweets have the same bytes."""
    for number in count_on(first):
        quartet = plan_quartet(seed, number)
        images = [
            _draw_image(recipe, dice, jpeg_only) for recipe, dice in zip(quartet.recipes, quartet.paints, strict=True)
        ]
        for place, (_, image) in enumerate(quartet.order):
            created_at = _draw_time("matched", QUARTET * number + place, quartet.times)
            yield _make_tweet(seed, quartet.recipe(place), created_at, images[image])


def _draw_time(margins: Margins, index: int, dice: Dice) -> datetime:
    return _FIRST_TWEET[margins] + timedelta(milliseconds=index * _SPACING_MS + dice.whole(0, _SPACING_MS - 1))


def _draw_image(recipe: Recipe, dice: Dice, jpeg_only: bool) -> tuple[bytes, str]:
    """An image file's bytes and ending."""
    return encode_image(_paint(recipe, dice), dice, graphic=recipe.board is not None, jpeg_only=jpeg_only)


def _make_tweet(seed: int, recipe: Recipe, created_at: datetime, image: tuple[bytes, str]) -> SyntheticTweet:
    return SyntheticTweet(
        id=_make_id(seed, created_at),
        text=recipe.text,
        image=image[0],
        suffix=image[1],
        created_at=created_at,
        text_is_represented=recipe.text_is_represented,
        image_adds=recipe.image_adds,
    )


def _paint(recipe: Recipe, dice: Dice) -> Image.Image:
    width, height = dice.pick(_SIDES)
    size = (width + dice.whole(-24, 0), height + dice.whole(-24, 0) if height > 270 else height)
    if recipe.board is not None:
        return _paint_lettered(size, recipe.board, recipe, dice)
    if recipe.backdrop is not None:
        return photograph(paint_backdrop(size, recipe.backdrop, dice), dice)
    assert recipe.setting is not None
    if len(recipe.things) > 3:
        size = (max(size), min(size))  # a crowd needs room beside one another to be told apart
    return photograph(paint_scene(size, recipe.setting, recipe.things, dice), dice)


def _paint_lettered(size: tuple[int, int], board: Board, recipe: Recipe, dice: Dice) -> Image.Image:
    """A board as such (a screenshot, a graphic), or photographed where it is, with what stands beside it."""
    if recipe.setting is not None:
        size = (max(*size, _LEGIBLE), max(min(size), _LEGIBLE * 2 // 3))
        left_half = dice.chance(0.5)
        beside = (0.58, 1.0) if left_half else (0.0, 0.42)
        image = paint_scene(size, recipe.setting, recipe.things, dice, beside)
        hang_board(image, board, left_half, dice)
        return photograph(image, dice)
    image = paint_board(size, board, dice)
    return photograph(image, dice) if dice.chance(PHOTOGRAPHED) else add_grain(image, dice)


def _make_id(seed: int, created_at: datetime) -> str:
    milliseconds = (created_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    low = (seed * _MIXER + 1) % (1 << _SNOWFLAKE_LOW_BITS)
    return str(((milliseconds - _SNOWFLAKE_EPOCH_MS) << _SNOWFLAKE_LOW_BITS) | low)
