"""Browse and one tweet: filters, orders, permalinks, paging, pictures, and what is not shown unasked."""

import io
import re
from collections.abc import Callable

import pytest
from PIL import Image

from infra.catalog.tables import Dataset, Shard
from itrp.data.pairs import Pair
from serving.review.thumbnails import SIZES, encode_thumbnail
from serving.review.tweet_index import update_index
from tests.poison import palette_without_colours, store_shard
from tests.review_stage import HOSTILE_ID, NO_PICTURE_ID, Stage, add_hostile_tweets, draw_large_picture
from tests.serving.review.conftest import Reader
from tests.serving.review.test_label import YES_NO, open_tweet


def shown(html: str) -> list[str]:
    """Ids of the tweets of a page, in order."""
    return re.findall(r'aria-label="Tweet ([^"]+)"', html)


def links(html: str, relation: str) -> list[str]:
    """Addresses of the links to the next or previous page."""
    found = re.findall(rf'rel="{relation}" href="([^"]+)"', html)
    return [each.replace("&amp;", "&") for each in found]


def test_a_view_is_paged_through_and_back_without_loss(ana: Reader, stage: Stage) -> None:
    pages = [shown(ana.get("/browse"))]
    assert ana.page is not None
    addresses = ["/browse"]
    while following := links(ana.page.text, "next"):
        addresses.append(following[0])
        pages.append(shown(ana.get(following[0])))
    assert [len(page) for page in pages] == [24, 24, 12]
    assert sorted(tweet for page in pages for tweet in page) == sorted(stage.truth)
    assert shown(ana.get(links(ana.page.text, "prev")[0])) == pages[1]
    assert shown(ana.get(addresses[1])) == pages[1]  # an address is a permalink


def test_the_random_order_is_the_seeds_and_another_seed_gives_another(ana: Reader) -> None:
    first = shown(ana.get("/browse?order=random&seed=1"))
    assert shown(ana.get("/browse?order=random&seed=1")) == first
    assert shown(ana.get("/browse?order=random&seed=2")) != first
    assert shown(ana.get("/browse")) != first


def test_filters_leave_what_they_say(ana: Reader) -> None:
    html = ana.get("/browse?relation=11&relation=01")
    assert set(re.findall(r'<span class="tag">([^<]+)</span>', html)) == {
        "shown, and picture adds",
        "not shown, picture adds",
    }
    assert "relation=01%2C11" in html  # the permalink
    assert shown(ana.get("/browse?relation=01%2C11")) == shown(html)
    for probability in re.findall(r"shown (\d+)", ana.get("/browse?text_least=40&text_most=60")):
        assert 40 <= int(probability) <= 60
    assert shown(ana.get("/browse?lang=xx")) == []
    assert shown(ana.get("/browse?since=2030-01-01")) == []
    assert len(shown(ana.get("/browse?since=2016-01-01&until=2016-01-01"))) == 24
    assert shown(ana.get("/browse?until=2015-12-31")) == []
    assert shown(ana.get("/browse?human=labelled")) == []
    assert len(shown(ana.get("/browse?models=none"))) == 24
    word = re.findall(r"<bdi>([A-Za-z]{5,})", ana.get("/browse"))[0]
    found = ana.get(f"/browse?words={word.upper()}")
    assert 1 <= len(shown(found)) < 24
    assert word.lower() in found.lower()


def test_the_least_certain_come_first(ana: Reader) -> None:
    html = ana.get("/browse?order=least-certain")
    pairs = re.findall(r"shown (\d+).%, adds (\d+)", html)
    certainty = [min(abs(int(each) - 50) for each in pair) for pair in pairs]
    assert certainty == sorted(certainty)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("order=best", "order: expected newest, random, least-certain, found “best”"),
        ("since=yesterday", "since: expected a day such as 2026-11-30, found “yesterday”"),
        ("text_least=101", "text_least: expected a whole number from 0 to 100"),
        ("image_most=-1", "image_most: expected a whole number from 0 to 100"),
        ("seed=x", "seed: expected a whole number"),
        ("since=2020-02-02&until=2020-01-01", "both are left out"),
        ("text_least=60&text_most=40", "both are left out"),
        ("order=least-certain&models=none", "needs a pair of models"),
        ("human=%3Cscript%3E", "found “&lt;script&gt;”"),
    ],
)
def test_what_of_an_address_means_nothing_is_told_and_left_out(ana: Reader, query: str, told: str) -> None:
    assert told in ana.get(f"/browse?{query}")


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%00", "../..", "9" * 300])
def test_a_made_up_place_leads_to_the_beginning(ana: Reader, cursor: str) -> None:
    assert shown(ana.get(f"/browse?after={cursor}")) == shown(ana.get("/browse"))


def test_unknown_data_sets_tweets_and_pages_are_told_plainly(ana: Reader) -> None:
    assert "landing" in ana.get("/browse?dataset=nowhere")
    for address in ("/tweets/landing/1", "/tweets/nowhere/1", "/label/landing/1", "/pictures/small/landing/1", "/x"):
        assert "<h1>Not found</h1>" in ana.get(address, 404)
    assert "sizes small and large" in ana.get("/pictures/huge/landing/1", 404)


def test_peoples_labels_are_shown_on_request(stage: Stage, sit_down: Callable[[str], Reader]) -> None:
    ana, ben = sit_down("ana"), sit_down("ben")
    tweet = open_tweet(ana)
    ana.send(tweet, **YES_NO)
    assert "ana: shown yes" not in ben.get("/browse?human=labelled")
    assert "ana: shown yes, adds no" in ben.get("/browse?human=labelled&labels=1")
    assert "<bdi>ana</bdi>" not in ben.get(f"/tweets/landing/{tweet}")
    assert "<bdi>ana</bdi>" in ben.get(f"/tweets/landing/{tweet}?people=1")


def test_a_tweet_is_shown_with_its_labels_by_both_pairs_and_its_origin(ana: Reader, stage: Stage) -> None:
    html = ana.get(f"/tweets/landing/{next(iter(stage.truth))}")
    assert html.index("text 3, image 2") < html.index("text 1, image 1")
    assert "landing/batch-0001/tweets.jsonl" in html


@pytest.mark.parametrize("size", [*SIZES])
def test_a_picture_comes_re_encoded_small_and_without_its_metadata(ana: Reader, stage: Stage, size: str) -> None:
    for _ in range(2):  # made, then kept
        answer = ana.client.get(f"/pictures/{size}/landing/{next(iter(stage.truth))}")
        assert answer.headers["content-type"] == "image/webp"
        image = Image.open(io.BytesIO(answer.content))
        assert (image.format, max(image.size) <= SIZES[size]) == ("WEBP", True)
        assert "exif" not in image.info
    kept = [*(stage.platform.settings.cache_dir / "thumbnails" / size).rglob("*.webp")]
    assert len(kept) == 1


def test_a_picture_that_does_not_decode_is_a_drawing_with_the_reason(ana: Reader, stage: Stage) -> None:
    add_hostile_tweets(stage.platform)
    answer = ana.client.get(f"/pictures/large/landing/{NO_PICTURE_ID}")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "an HTML page" in answer.text
    assert "<script" not in answer.text
    assert "<!doctype" not in answer.text


def test_a_picture_of_twenty_mebibytes_comes_small(ana: Reader, stage: Stage) -> None:
    assert 19 * 2**20 < len(draw_large_picture()) < 20 * 2**20
    add_hostile_tweets(stage.platform)
    answer = ana.client.get(f"/pictures/small/landing/{HOSTILE_ID}")
    assert answer.headers["content-type"] == "image/webp"
    assert len(answer.content) < 200_000


def test_a_hostile_text_stands_escaped_cut_and_inside_its_element(ana: Reader, stage: Stage) -> None:
    add_hostile_tweets(stage.platform)
    html = ana.get(f"/tweets/landing/{HOSTILE_ID}")
    assert "<script>document" not in html
    assert "&lt;script&gt;document" in html
    assert "<img src=x" not in html
    assert "Show all 25,000 characters" in html
    assert "\x07" not in html
    assert re.search(r'<div class="words" dir="auto"><bdi>&lt;script', html)
    stacked = re.findall("Z[\u0300-\u036f]+", html)
    assert [len(each) for each in stacked] == [5]


def test_thumbnails_are_of_pixels_alone() -> None:
    sink = io.BytesIO()
    image = Image.new("RGB", (1_000, 500), "red")
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "a secret place"
    image.save(sink, "JPEG", exif=exif)
    small = encode_thumbnail(sink.getvalue(), 100)
    assert b"secret" not in small
    assert Image.open(io.BytesIO(small)).size == (50, 100)


def test_the_data_set_made_of_labels_is_not_offered(ana: Reader, stage: Stage) -> None:
    """Its tweets are copies: labels belong to those they were copied from."""
    with stage.platform.catalog.session() as session:
        dataset = Dataset(name="reviewed", layout="reviewed")
        session.add(dataset)
        session.flush()
        session.add(Shard(dataset_id=dataset.id, position=0, hash="0" * 64, key="shards/0.parquet", pairs=1, size=1))
    assert "reviewed" not in shown(ana.get("/browse"))
    assert "<option>reviewed" not in ana.get("/browse?dataset=reviewed")
    assert "landing" in ana.get("/label?dataset=reviewed")


def test_a_damaged_palette_is_no_servers_fault(ana: Reader, stage: Stage) -> None:
    store_shard(stage.platform, [Pair("odd-1", "A picture without colours.", palette_without_colours(), "p.png")])
    update_index(stage.platform.catalog, stage.platform.store)
    assert ana.client.get("/pictures/small/landing/odd-1").headers["content-type"] == "image/svg+xml"
