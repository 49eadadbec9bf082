"""Synthetic tweets: same bytes for the same seed, labels that follow from what is said and shown."""

import io
import re
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from itrp.datasets.synthetic import (
    Recipe,
    SyntheticTweet,
    generate_tweets,
    plan_tweet,
)
from itrp.datasets.synthetic.boards import Board, paint_board
from itrp.datasets.synthetic.dice import Dice
from itrp.datasets.synthetic.pen import Color, Pen
from itrp.datasets.synthetic.recipes import content_words
from itrp.datasets.synthetic.scenes import SETTINGS, paint_scene
from itrp.datasets.synthetic.things import THINGS
from itrp.datasets.synthetic.vocabulary import FUNCTION_WORDS, SETTING_WORDS
from itrp.errors import DataError

RELATION_SHARES = {"00": 0.342, "01": 0.254, "10": 0.221, "11": 0.183}
"""Train split of the published label file: 1224/908/791/653 of 3,576."""


@pytest.fixture(scope="module")
def tweets() -> list[SyntheticTweet]:
    return list(generate_tweets(240, seed=7))


def open_picture(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


# generation


def test_same_seed_gives_the_same_tweets(tweets: list[SyntheticTweet]) -> None:
    assert list(generate_tweets(40, seed=7)) == tweets[:40]


def test_a_slice_equals_that_part_of_the_whole(tweets: list[SyntheticTweet]) -> None:
    assert list(generate_tweets(12, seed=7, start=100)) == tweets[100:112]


def test_another_seed_gives_other_tweets(tweets: list[SyntheticTweet]) -> None:
    others = list(generate_tweets(40, seed=8))
    assert not {tweet.id for tweet in others} & {tweet.id for tweet in tweets}
    assert not {tweet.image for tweet in others} & {tweet.image for tweet in tweets}


def test_generation_is_lazy() -> None:
    first = next(generate_tweets(10**12, seed=1))
    assert first == next(generate_tweets(1, seed=1))


def test_ids_are_snowflakes_of_their_time(tweets: list[SyntheticTweet]) -> None:
    assert len({tweet.id for tweet in tweets}) == len(tweets)
    for tweet in tweets:
        assert re.fullmatch(r"\d{18,19}", tweet.id)
        milliseconds = (int(tweet.id) >> 22) + 1288834974657
        assert tweet.created_at.timestamp() * 1000 == pytest.approx(milliseconds)
        assert tweet.created_at.utcoffset() is not None


def test_suffix_names_the_format_and_sizes_vary(tweets: list[SyntheticTweet]) -> None:
    formats: Counter[str | None] = Counter()
    sizes = set()
    for tweet in tweets:
        image = open_picture(tweet.image)
        formats[image.format] += 1
        sizes.add(image.size)
        assert tweet.suffix == {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}[str(image.format)]
        assert min(image.size) >= 200
        assert max(image.size) <= 480
    assert formats["JPEG"] > 180
    assert formats["PNG"] > 3
    assert formats["WEBP"] > 3
    assert len(sizes) > 50


def test_some_pictures_have_a_palette_and_some_are_transparent() -> None:
    modes = {open_picture(tweet.image).mode for tweet in generate_tweets(150, seed=3) if tweet.suffix == ".png"}
    assert modes == {"P", "RGB", "RGBA"}


def test_jpeg_only_changes_nothing_but_the_format(tweets: list[SyntheticTweet]) -> None:
    for tweet, plain in zip(tweets[:60], generate_tweets(60, seed=7, jpeg_only=True), strict=True):
        assert (plain.id, plain.text, plain.suffix) == (tweet.id, tweet.text, ".jpg")
        assert open_picture(plain.image).format == "JPEG"
        assert tweet.suffix != ".jpg" or plain.image == tweet.image


@pytest.mark.parametrize(("count", "seed", "start"), [(-1, 0, 0), (1, -1, 0), (1, 0, -1)])
def test_negative_numbers_are_refused(count: int, seed: int, start: int) -> None:
    with pytest.raises(DataError, match=f"count={count}, seed={seed}, start={start}"):
        generate_tweets(count, seed, start)


# truth


def test_relations_occur_as_often_as_in_itr() -> None:
    recipes = [plan_tweet(11, index) for index in range(3000)]
    counts = Counter(f"{recipe.text_is_represented}{recipe.image_adds}" for recipe in recipes)
    for relation, share in RELATION_SHARES.items():
        # four standard deviations of a share near 0.3 in 3,000 draws
        assert counts[relation] / 3000 == pytest.approx(share, abs=0.035)


def test_labels_are_those_of_the_recipe(tweets: list[SyntheticTweet]) -> None:
    for index, tweet in enumerate(tweets):
        recipe = plan_tweet(7, index)
        assert tweet.text == recipe.text
        assert (tweet.text_is_represented, tweet.image_adds) == (
            recipe.text_is_represented,
            recipe.image_adds,
        )


def test_labels_agree_with_a_plain_word_search() -> None:
    """The rule once more, by searching the text for whole words, not by comparing sets."""
    for index in range(1500):
        recipe = plan_tweet(5, index)
        text = re.sub(r"https?://\S+|@\w+", " ", recipe.text.lower())
        lettered = " ".join((recipe.board.title, *recipe.board.lines)) if recipe.board else ""
        told = {*recipe.things, *re.findall(r"[a-z]{3,}|[0-9]+", lettered.lower())} - FUNCTION_WORDS
        setting = set(SETTING_WORDS[recipe.setting]) if recipe.setting else set()
        found = {word for word in told | setting if re.search(rf"(?<![a-z0-9]){word}(?![a-z0-9])", text)}
        assert recipe.text_is_represented == int(bool(found)), recipe
        assert recipe.image_adds == int(bool(told - found)), recipe


@pytest.mark.parametrize(
    ("recipe", "text_label", "image_label"),
    [
        (Recipe("My dog in the snow", setting="snow", things=("dog",)), 1, 0),
        (Recipe("My dog in the snow", setting="snow"), 1, 0),
        (Recipe("My dog in the snow", setting="snow", things=("dog", "snowman")), 1, 1),
        (Recipe("My cat at home", setting="snow", things=("dog",)), 0, 1),
        (Recipe("so tired @dog https://t.co/dog", setting="studio", things=("dog",)), 0, 1),
        (Recipe("so tired", backdrop="plain"), 0, 0),
        (Recipe("my city", setting="city", board=Board("poster", "Oak Park")), 1, 1),
        (
            Recipe("Spring Book Fair, Oak Park", board=Board("poster", "Spring Book Fair", ("Oak Park",))),
            1,
            0,
        ),
        (Recipe("Spring Book Fair!", board=Board("poster", "Spring Book Fair", ("Oak Park",))), 1, 1),
        (Recipe("so tired", board=Board("poster", "Spring Book Fair", ("Oak Park",))), 0, 1),
    ],
)
def test_rule_on_hand_made_recipes(recipe: Recipe, text_label: int, image_label: int) -> None:
    assert (recipe.text_is_represented, recipe.image_adds) == (text_label, image_label)


def test_content_words_leave_out_links_handles_and_function_words() -> None:
    found = content_words("RT @dogs: The DOG and #caturday, 14 times https://t.co/Tree")
    assert found == {"dog", "caturday", "14", "times"}


def test_style_misleads_in_some_but_not_most_pairs() -> None:
    """Some unrepresented texts name a thing, and some pictures that add show little: not none, not most."""
    recipes = [plan_tweet(2, index) for index in range(2000)]
    unrelated = [recipe for recipe in recipes if not recipe.text_is_represented]
    misleading = sum(bool(recipe.said & THINGS.keys()) for recipe in unrelated) / len(unrelated)
    assert 0.1 < misleading < 0.22
    adding = [recipe for recipe in recipes if recipe.image_adds]
    bare = sum(len(recipe.things) in (1, 2) and recipe.board is None for recipe in adding) / len(adding)
    assert 0.1 < bare < 0.25


def test_texts_look_like_tweets(tweets: list[SyntheticTweet]) -> None:
    texts = [tweet.text for tweet in tweets]
    assert len(set(texts)) == len(texts)
    assert all(3 < len(text) < 281 and "\n" not in text and "{" not in text for text in texts)
    assert sum("https://t.co/" in text for text in texts) > 160
    for mark in ("#", "@", "RT @", "\U0001f602"):
        assert any(mark in text for text in texts), mark


# drawing


def test_there_are_enough_things_and_their_names_are_no_function_words() -> None:
    assert len(THINGS) >= 20
    assert not THINGS.keys() & FUNCTION_WORDS
    assert all(content_words(name) == {name} for name in THINGS)
    assert not THINGS.keys() & {word for row in SETTING_WORDS.values() for word in row}
    assert SETTING_WORDS.keys() == SETTINGS.keys()


@pytest.mark.parametrize("name", THINGS)
def test_every_thing_leaves_its_mark_on_the_picture(name: str) -> None:
    bare = paint_scene((240, 240), "studio", (), Dice(1, 1)).tobytes()
    drawn = paint_scene((240, 240), "studio", (name,), Dice(1, 1)).tobytes()
    changed = sum(before != after for before, after in zip(bare[::3], drawn[::3], strict=True))
    assert changed > 0.01 * 240 * 240


def test_no_thing_of_a_crowd_hides_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every thing is drawn as a filled box of its own colour: much of each must be left on the picture."""
    names = ("dog", "cake", "car", "tree", "kite", "house")
    for number, name in enumerate(names):
        red = 40 * number + 20
        monkeypatch.setitem(THINGS, name, replace(THINGS[name], draw=partial(fill_box, color=(red, 0, 0))))
    for index in range(40):
        pixels = np.asarray(paint_scene((320, 240), "snow", names, Dice(9, index)))
        for number in range(len(names)):
            left = (pixels == (40 * number + 20, 0, 0)).all(axis=2).sum()
            assert left > 150, (index, names[number])


def fill_box(pen: Pen, color: Color) -> None:
    pen.rectangle(0, 0, 1, 1, color)


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_holds_a_crowd(setting: str) -> None:
    image = paint_scene((300, 240), setting, ("dog", "sun", "car", "cake", "kite", "tree"), Dice(1, 2))
    assert image.size == (300, 240)
    assert image.mode == "RGB"


def test_a_board_letters_every_line() -> None:
    def letter(lines: tuple[str, ...]) -> bytes:
        return paint_board((300, 300), Board("list", "Menu", lines), Dice(3, 3)).tobytes()

    assert letter(("Soup", "Pie")) != letter(("Soup", "Tea")) != letter(("Ham", "Tea"))
