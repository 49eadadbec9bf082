"""Disagreements: which, in which order, and the page."""

import base64
import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from itrp.analysis.cases import (
    Tweet,
    choose_examples,
    count_compared,
    find_disagreements,
    make_thumbnail,
    read_shown_tweets,
    render_cases,
)
from itrp.data.annotations import Annotations
from itrp.data.inputs import ShardFile
from itrp.datasets.synthetic import SyntheticTweet
from itrp.errors import DataError
from itrp.labels import Task

Annotate = Callable[..., Annotations]

RELATIONS = ("01", "01", "11", "01", "11", "11", "-1", "01")
SPLIT = ("test",) * 7 + ("train",)
REPRESENTED = np.array([0.7, 0.9, 0.2, 0.9, 0.4, 0.8, 0.9, 0.9])
PROBABILITIES = {Task.TEXT: np.stack([1 - REPRESENTED, REPRESENTED], axis=1)}


def image(width: int, height: int, colour: str = "navy") -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(sink, "PNG")
    return sink.getvalue()


@pytest.fixture
def annotations(annotate: Annotate) -> Annotations:
    return annotate(RELATIONS, {1: "11", 2: "10"}, SPLIT)


def test_the_most_confident_disagreements_come_first(annotations: Annotations) -> None:
    """Rows 1 and 3 with 0.9 in their order, then row 0; on the other side row 2 with 0.8, then row 4 with 0.6. Row 6 has no
    label, row 7 is a train pair, row 5 is agreed on.
    """
    found = find_disagreements(PROBABILITIES, annotations)
    assert found["row"].tolist() == [1, 3, 0, 2, 4]
    assert found["place"].tolist() == [1, 2, 3, 1, 2]
    assert found["probability"].tolist() == pytest.approx([0.9, 0.9, 0.7, 0.8, 0.6])
    assert found["model_says"].tolist() == ["text represented"] * 3 + ["text not represented"] * 2
    assert found["human_says"].tolist() == ["text not represented"] * 3 + ["text represented"] * 2
    assert found["controversial"].tolist() == [True, False, False, True, False]
    assert found["corrected"].tolist()[0] == "text represented"  # relabelled: the model was right
    assert choose_examples(found, 1)["row"].tolist() == [1, 2]
    assert count_compared(annotations, [Task.TEXT, Task.IMAGE]) == {Task.TEXT: 6, Task.IMAGE: 7}


def test_tasks_come_in_the_order_given(annotations: Annotations) -> None:
    both = {**PROBABILITIES, Task.IMAGE: np.full((8, 2), [0.8, 0.2])}
    found = find_disagreements(both, annotations)
    assert found["task"].tolist() == ["text"] * 5 + ["image"] * 7
    assert found["row"].tolist()[5:] == list(range(7))


def test_wrong_input_is_refused(annotate: Annotate, annotations: Annotations) -> None:
    with pytest.raises(DataError, match=r"of the shape \[8, 2\] for the text task, found \[7, 2\]"):
        find_disagreements({Task.TEXT: PROBABILITIES[Task.TEXT][:7]}, annotations)
    with pytest.raises(DataError, match="the test split has no labelled pair for the text task"):
        find_disagreements(PROBABILITIES, annotate(RELATIONS, None, ["train"] * 8))


def test_tweets_are_read_by_their_rows_over_all_shards(shards: list[ShardFile], tweets: list[SyntheticTweet]) -> None:
    found = read_shown_tweets(shards, [59, 33, 34, 0])
    assert sorted(found) == [0, 33, 34, 59]
    for row, tweet in found.items():
        assert tweet == Tweet(tweets[row].id, tweets[row].text, tweets[row].image)
    assert read_shown_tweets(shards, []) == {}


def test_thumbnails_keep_their_proportions() -> None:
    small = Image.open(io.BytesIO(make_thumbnail(image(800, 200))))
    assert (small.format, small.size) == ("JPEG", (360, 90))
    assert Image.open(io.BytesIO(make_thumbnail(image(20, 30)))).size == (20, 30)


@pytest.fixture
def page(annotations: Annotations) -> str:
    texts = {row: f"tweet {row}" for row in range(8)} | {1: '<script>alert("x")</script> & so on', 3: "👍🏽 مرحبا"}
    tweets = {row: Tweet(f"t{row}", text, image(800, 400)) for row, text in texts.items()}
    found = find_disagreements(PROBABILITIES, annotations)
    compared = count_compared(annotations, [Task.TEXT])
    return render_cases(found, tweets, examples=2, compared=compared, heading={"data": "a<b", "models": "m/1"})


def test_the_page_groups_by_who_says_what(page: str) -> None:
    plain = " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL).split())
    assert "Text task 5 of 6 pairs differ (83.3 %)." in plain
    first = plain.index("model: text represented human: text not represented 2 of 3")
    second = plain.index("model: text not represented human: text represented 2 of 2")
    assert (
        first < plain.index("alert(") < plain.index("مرحبا") < second < plain.index("tweet 2") < plain.index("tweet 4")
    )
    assert "tweet 0" not in plain  # the third of its group
    assert "model 90 % sure t1 relabelled: text represented" in plain
    assert "model 80 % sure t2 on the relabelling list for the other task" in plain


def test_the_page_is_safe_and_self_contained(page: str) -> None:
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; so on" in page
    assert "<dd>a&lt;b</dd>" in page
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 4
    for source in sources:
        head, data = source.split(",")
        assert head == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (360, 180)
    assert not re.search(r"https?://|url\(|<link|@import", page)


def test_an_empty_group_says_so(annotate: Annotate) -> None:
    agreed = annotate(["11", "01"])
    probabilities = {Task.TEXT: np.array([[0.1, 0.9], [0.9, 0.1]])}
    found = find_disagreements(probabilities, agreed)
    assert found.empty
    page = render_cases(found, {}, examples=3, compared={Task.TEXT: 2}, heading={})
    assert page.count("No such pair.") == 2
    assert "0 of 2 pairs differ (0.0 %)" in page
