"""The picture of labelled tweets."""

import base64
import io
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from flows.jobs.gallery import PER_RELATION, LabelledTweet, draw_gallery, pick_tweets
from tests.scoring import find_work, pin_scorer

if TYPE_CHECKING:
    from flows.platform import Platform

SMALL_ENOUGH = 200_000
"""Characters: the picture lies in Prefect's database, one a run."""


def test_a_few_tweets_of_each_relation_with_their_own_pictures(scoring: "Platform") -> None:
    scorer = pin_scorer(scoring)
    work = find_work(scoring.catalog, scorer.pair, backfill=False)
    labelled = [(shard, scorer.score(shard)) for shard in work]
    tweets = pick_tweets(scoring.store, scoring.settings.cache_dir, labelled)
    counts: Counter[str] = Counter()
    for _, row in labelled:
        counts.update(row.counts)
    shown = Counter(tweet.relation for tweet in tweets)
    assert shown == {code: min(count, PER_RELATION) for code, count in counts.items() if count}
    assert len(draw_gallery(tweets)) < SMALL_ENOUGH


def test_nothing_labelled_is_no_gallery(scoring: "Platform") -> None:
    assert pick_tweets(scoring.store, scoring.settings.cache_dir, []) == []


def test_the_gallery_is_a_picture_whatever_people_write() -> None:
    texts = [
        "a red bike",
        "$\\frac{1}{0}$ costs $5",
        "😀😀",
        "",
        "x" * 5000,
        "line\nbreak",
        "\N{ARABIC LETTER BEH}" * 40,
    ]
    picture = Image.new("RGB", (640, 480), (200, 30, 30))
    found = draw_gallery([LabelledTweet(text, "11", picture) for text in texts])
    kind, _, data = found.partition(",")
    assert kind == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.format == "JPEG"
    pixels = np.asarray(image.convert("RGB"))
    red = (pixels[..., 0] > 150) & (pixels[..., 1] < 80)
    assert red.mean() > 0.1
