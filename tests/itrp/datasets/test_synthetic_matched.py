"""Synthetic tweets with matched margins: every text and image once in a pair that matches and once in one that does not."""

import csv
from collections import defaultdict
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from itrp.alignment.folds import content_keys, find_groups
from itrp.datasets.itr_labels import read_itr_labels
from itrp.datasets.synthetic import (
    SyntheticTweet,
    generate_tweets,
    plan_tweet,
    write_itr_layout,
    write_landing_layout,
    write_twitter100k_layout,
)
from itrp.errors import WrongUseError

PAIRS = 240


@pytest.fixture(scope="module")
def tweets() -> list[SyntheticTweet]:
    return list(generate_tweets(PAIRS, seed=7, margins="matched"))


def draw(count: int, start: int = 0, *, jpeg_only: bool = False) -> list[SyntheticTweet]:
    return list(generate_tweets(count, 7, start, jpeg_only=jpeg_only, margins="matched"))


def test_every_text_and_every_image_is_once_matched_and_once_not(tweets: list[SyntheticTweet]) -> None:
    by_text, by_image = defaultdict(list), defaultdict(list)
    for tweet in tweets:
        by_text[tweet.text].append(tweet.text_is_represented)
        by_image[tweet.image].append(tweet.text_is_represented)
    assert {tuple(sorted(labels)) for labels in by_image.values()} == {(0, 1)}
    assert len(by_image) == PAIRS // 2
    # a text that two quartets happen to share stands twice in each of them
    assert all(2 * sum(labels) == len(labels) for labels in by_text.values())
    assert len(by_text) >= 0.95 * PAIRS / 2


def test_labels_follow_from_what_is_said_and_shown_by_the_rule_of_every_tweet(tweets: list[SyntheticTweet]) -> None:
    recipes = [plan_tweet(7, index, "matched") for index in range(PAIRS)]
    assert [recipe.text for recipe in recipes] == [tweet.text for tweet in tweets]
    for recipe, tweet in zip(recipes, tweets, strict=True):
        assert tweet.text_is_represented == bool(recipe.said & recipe.seen)
        assert tweet.image_adds == bool(recipe.told_by_image - recipe.said)
    assert not any(recipe.board or recipe.backdrop for recipe in recipes)
    assert {(tweet.text_is_represented, tweet.image_adds) for tweet in tweets} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_four_tweets_in_a_row_are_all_pairs_of_two_texts_and_two_images(tweets: list[SyntheticTweet]) -> None:
    orders = set()
    for start in range(0, PAIRS, 4):
        four = tweets[start : start + 4]
        pairs = {(tweet.text, tweet.image) for tweet in four}
        assert len(pairs) == 4
        assert pairs == {(text, image) for text, _ in pairs for _, image in pairs}
        orders.add(tuple(tweet.text_is_represented for tweet in four))
    assert len(orders) == 6, "the place in the file tells nothing: all orders of two and two"


def test_a_tweet_depends_on_seed_and_index_alone(tweets: list[SyntheticTweet]) -> None:
    assert draw(7, start=6) == tweets[6:13]
    assert draw(1, start=239) == tweets[239:]
    assert list(generate_tweets(4, 8, margins="matched")) != tweets[:4]
    for jpeg, any_format in zip(draw(20, jpeg_only=True), tweets, strict=False):
        assert (jpeg.id, jpeg.text, jpeg.suffix) == (any_format.id, any_format.text, ".jpg")
        assert jpeg.image == any_format.image or any_format.suffix != ".jpg"


def test_ids_are_unique_beside_those_of_the_natural_tweets(tweets: list[SyntheticTweet]) -> None:
    ids = {tweet.id for tweet in tweets} | {tweet.id for tweet in generate_tweets(40, 7)}
    assert len(ids) == PAIRS + 40
    assert [tweet.created_at for tweet in tweets] == sorted(tweet.created_at for tweet in tweets)


def test_natural_margins_are_the_default(tmp_path: Path) -> None:
    assert list(generate_tweets(12, 7)) == list(generate_tweets(12, 7, margins="natural"))
    assert plan_tweet(7, 3) == plan_tweet(7, 3, "natural")


def read_truth(folder: Path) -> list[tuple[int, int]]:
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return [(int(row["text_is_represented"]), int(row["image_adds"])) for row in csv.DictReader(file)]


@pytest.mark.parametrize("write", [write_itr_layout, write_twitter100k_layout, write_landing_layout])
def test_all_layouts_hold_them_and_the_truth(
    write: Callable[..., Path], tweets: list[SyntheticTweet], tmp_path: Path
) -> None:
    folder = write(tmp_path / "drawn", 40, 7, margins="matched")
    assert read_truth(folder) == [(tweet.text_is_represented, tweet.image_adds) for tweet in tweets[:40]]
    images = [path for path in folder.rglob("*") if path.suffix in (".jpg", ".png", ".webp")]
    assert len(images) == 40
    assert len({path.read_bytes() for path in images}) == 20


@pytest.mark.parametrize("count", [20, 60, 180])
def test_in_itrs_layout_both_pairs_of_a_text_or_an_image_are_in_one_split(count: int, tmp_path: Path) -> None:
    folder = write_itr_layout(tmp_path / "itr", count, 7, margins="matched")
    labels = read_itr_labels(folder / "labels.csv")
    digests = [sha256((folder / "images" / f"T{id_}.jpg").read_bytes()).hexdigest() for id_ in labels.ids]
    for contents in (labels.texts, digests):
        splits = defaultdict(set)
        for content, split in zip(contents, labels.split.tolist(), strict=True):
            splits[content].add(split)
        assert {len(found) for found in splits.values()} == {1}
    truth = np.array(read_truth(folder))[:, 0]
    for split in ("train", "test"):
        assert truth[labels.split == split].mean() == 0.5


def test_numbers_that_would_cut_a_quartet_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match=r"expected a multiple of 20 pairs.*found 130; ask for 120 or 140"):
        write_itr_layout(tmp_path / "x", 130, 0, margins="matched")
    with pytest.raises(WrongUseError, match="expected 20 to 100,000 pairs, found 16"):
        write_landing_layout(tmp_path / "x", 16, 0, margins="matched")
    assert not (tmp_path / "x").exists()


def embed(tweets: list[SyntheticTweet]) -> NDArray[np.float32]:
    """[n, 384 + 1280] frozen MiniLM and EfficientNet-Lite0 features, images of 128 pixels."""
    import torch

    from itrp.config import ImageEncoderConfig, TextEncoderConfig
    from itrp.data.images import load_pixels
    from itrp.inference.embeddings import embed_pixels, embed_tokens
    from itrp.models.image_encoder import load_image_encoder
    from itrp.models.text_encoder import load_text_encoder

    text = load_text_encoder(TextEncoderConfig())
    image = load_image_encoder(ImageEncoderConfig(size=128))
    device = torch.device("cpu")
    files = [*dict.fromkeys(tweet.image for tweet in tweets)]
    pixels = np.stack([load_pixels(file, image.config.pixels) for file in files])
    images = embed_pixels(image, pixels, device, 64)[[files.index(tweet.image) for tweet in tweets]]
    return np.hstack([embed_tokens(text, text.tokenize([tweet.text for tweet in tweets]), device, 64), images])


def test_a_supervised_head_that_adds_text_and_image_learns_nothing(tweets: list[SyntheticTweet]) -> None:
    """On natural tweets such a head reaches an AUC of .97, without any relation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = np.array([tweet.text_is_represented for tweet in tweets])
    images = [sha256(tweet.image).hexdigest() for tweet in tweets]
    groups = find_groups(content_keys([tweet.text for tweet in tweets]), content_keys(images))
    assert len(np.unique(groups)) >= 0.9 * PAIRS / 4
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    scores = cross_val_predict(head, embed(tweets), labels, groups=groups, cv=GroupKFold(5), method="decision_function")
    assert abs(roc_auc_score(labels, scores) - 0.5) <= 0.05
