"""Which tweets of a cluster are shown, and the page."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from itrp.analysis.cases import Tweet
from itrp.analysis.contact_sheet import ClusterSample, render_contact_sheet, sample_clusters
from itrp.labels import Task


def probabilities_of(certainties: list[float]) -> np.ndarray:
    """[n, 2] with these probabilities of cluster 1."""
    ones = np.array(certainties)
    return np.stack([1 - ones, ones], axis=1)


def test_the_most_certain_come_first_and_the_others_are_drawn() -> None:
    """Rows 0 to 29 are in cluster 1, the more certain the later; row 30 is alone in cluster 0."""
    found = probabilities_of([0.6 + row / 100 for row in range(30)] + [0.1])
    images = [f"{row}" for row in range(31)]
    alone, many = sample_clusters(found, np.ones(31, dtype=bool), images, seed=3)
    assert (alone.cluster, alone.size, alone.typical, alone.random) == (0, 1, (30,), ())
    assert (many.size, many.typical) == (30, (29, 28, 27, 26, 25, 24))
    assert len(set(many.random)) == 6
    assert set(many.random) <= set(range(24))
    assert many == sample_clusters(found, np.ones(31, dtype=bool), images, seed=3)[1]
    draws = {sample_clusters(found, np.ones(31, dtype=bool), images, seed=seed)[1].random for seed in range(5)}
    assert len(draws) == 5


def test_an_image_is_shown_once_and_what_does_not_decode_never() -> None:
    found = probabilities_of([0.9, 0.95, 0.99, 0.8])
    usable = np.array([True, True, False, True])
    (empty, sample) = sample_clusters(found, usable, ["a", "a", "b", "c"], seed=0)
    assert (empty.size, empty.typical, empty.random) == (0, (), ())
    assert (sample.size, sample.typical, sample.random) == (3, (1, 3), ())


def test_equally_certain_ones_are_drawn() -> None:
    found, images = probabilities_of([1.0] * 40), [str(row) for row in range(40)]
    typical = {sample_clusters(found, np.ones(40, dtype=bool), images, seed=seed)[1].typical for seed in range(4)}
    assert len(typical) == 4


@pytest.fixture
def page() -> str:
    sink = io.BytesIO()
    Image.new("RGB", (800, 400), "navy").save(sink, "PNG")
    texts = ['<script>alert("x")</script> & so on', "👍🏽 مرحبا", "third"]
    return render_contact_sheet(
        [ClusterSample(0, 3, (0,), (1, 2)), ClusterSample(1, 0, (), ())],
        {row: Tweet(f"t{row}", text, sink.getvalue()) for row, text in enumerate(texts)},
        probabilities_of([0.125, 0.3, 0.4]),
        task=Task.TEXT,
        model="itrp-text-task/7",
        answers=["itrp name itrp-text-task/7 --cluster 0=represented"],
        names=["text represented", "text not represented"],
        heading={"data set": "a<b"},
    )


def test_the_page_says_what_to_look_for_and_what_to_type(page: str) -> None:
    plain = " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL).split())
    order = [
        "Does the image show what the text says?",
        "2 clusters of itrp-text-task/7, in 3 pairs.",
        "not-represented the text speaks of something else",
        "represented what the text says can be seen in the image",
        "itrp name itrp-text-task/7 --cluster 0=represented",
        "Cluster 0 so far: text represented 3 of 3 pairs (100 %)",
        "Typical: the model is most certain of these",
        "t0 88 % sure",
        "Drawn at random from the others",
        "مرحبا t1 70 % sure",
        "Cluster 1 so far: text not represented 0 of 3 pairs (0 %) No pair is in this cluster.",
    ]
    places = [plain.find(part) for part in order]
    assert -1 not in places
    assert places == sorted(places)


def test_the_page_is_safe_and_self_contained(page: str) -> None:
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; so on" in page
    assert "<dd>a&lt;b</dd>" in page
    shown = re.findall(r'<img src="([^"]*)" alt="([^"]*)"', page)
    assert [alt for _, alt in shown] == ["image of tweet t0", "image of tweet t1", "image of tweet t2"]
    for source, _ in shown:
        head, data = source.split(",")
        assert head == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (320, 160)
    assert not re.search(r"https?://|url\(|<link|@import", page)
    assert "default-src 'none'; img-src data:" in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
