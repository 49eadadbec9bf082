"""One tweet in the forms that collectors write: the best of several fields wins."""

import io
import json
from typing import Any

import pytest

from itrp.data.pairs import Candidate, Rejection
from itrp.datasets.tweets import read_tweets

SOURCE = "landing/day/batch.jsonl"


def read(*values: Any) -> list[Candidate | Rejection]:
    data = b"\n".join(json.dumps(value).encode() for value in values)
    return [*read_tweets(io.BytesIO(data), SOURCE)]


def read_one(value: Any) -> Candidate:
    (found,) = read(value)
    assert isinstance(found, Candidate), found
    return found


def refuse_one(value: Any) -> Rejection:
    (found,) = read(value)
    assert isinstance(found, Rejection), found
    return found


RECORD = {"id": "1", "text": "words", "image": "p.jpg"}
CUT = "The ferry to the island does not leave today, says the harbour master, becau\u2026"
WHOLE = "The ferry to the island does not leave today, says the harbour master, because of the storm"
ORIGINAL = {"id": "9", "text": WHOLE}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"text": CUT, "note_tweet": {"text": WHOLE}}, WHOLE),
        ({"text": CUT, "note_tweet": {}}, CUT),
        ({"text": None, "full_text": WHOLE, "truncated": False}, WHOLE),
        ({"text": CUT, "full_text": WHOLE}, WHOLE),
        ({"text": CUT, "truncated": True, "extended_tweet": {"full_text": WHOLE}}, WHOLE),
        ({"text": "RT @a: " + CUT, "retweeted_status": {"full_text": WHOLE}}, WHOLE),
        ({"text": "RT @a: " + CUT, "retweeted_status": {"text": CUT, "extended_tweet": {"full_text": WHOLE}}}, WHOLE),
        ({"full_text": "RT @a: " + CUT, "text": None, "retweeted_status": {"full_text": WHOLE}}, WHOLE),
        ({"text": "RT @a: " + CUT, "referenced_tweets": [{"type": "retweeted", **ORIGINAL}]}, WHOLE),
        (
            {
                "text": "RT @a: x",
                "referenced_tweets": [{"type": "retweeted", "id": "9", "note_tweet": {"text": WHOLE}}],
            },
            WHOLE,
        ),
        ({"text": "RT @a: " + CUT, "referenced_tweets": [{"type": "retweeted", "id": "9"}]}, "RT @a: " + CUT),
        ({"text": "see this", "referenced_tweets": [{"type": "quoted", **ORIGINAL}]}, "see this"),
        ({"text": None, "rawContent": WHOLE, "renderedContent": CUT}, WHOLE),
        ({"text": None, "content": WHOLE}, WHOLE),
        ({"text": WHOLE, "content": "page"}, WHOLE),
        ({"text": None, "tweet": WHOLE}, WHOLE),
        ({"text": None, "legacy": {"full_text": WHOLE}}, WHOLE),
    ],
)
def test_the_whole_text_wins(fields: dict[str, Any], text: str) -> None:
    assert read_one({**RECORD, **fields}).text == text


def test_a_retweet_in_a_page_has_the_text_and_picture_of_its_original() -> None:
    original = {**ORIGINAL, "attachments": {"media_keys": ["3_9"]}}
    retweet = {"id": "10", "text": "RT @a: " + CUT, "referenced_tweets": [{"type": "retweeted", "id": "9"}]}
    page = {"data": [retweet], "includes": {"tweets": [original], "media": [{"media_key": "3_9", "type": "photo"}]}}
    found = read_one(page)
    assert (found.id, found.text, found.image_key) == ("10", WHOLE, "landing/day/3_9.jpg")
    # What earlier versions stored of it is known as the same tweet.
    assert found.former_texts == ("RT @a: " + CUT,)


@pytest.mark.parametrize("retold", [None, {"text": CUT, "truncated": True}])
def test_a_text_that_was_cut_is_refused(retold: object) -> None:
    rejection = refuse_one({**RECORD, "text": CUT, "truncated": retold is None, "retweeted_status": retold})
    assert (rejection.code, rejection.id) == ("text_missing", "1")
    assert "found one that was cut after 140 characters" in rejection.reason
    assert "tweet_mode=extended" in rejection.reason


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("Fish &amp; chips &lt;3", "Fish & chips <3"),
        ("Fish & chips <3", "Fish & chips <3"),
        ("write &amp;lt; for &lt;", "write &lt; for <"),
        ("it&#39;s &quot;caf&eacute;&quot;", 'it\'s "café"'),
        ("x.com/?a=1&para=2&copy", "x.com/?a=1&para=2&copy"),
        ("&amp;amp;", "&amp;"),
        ("AT&T; R&D;", "AT&T; R&D;"),
    ],
)
def test_entities_become_characters_once(written: str, text: str) -> None:
    assert read_one({**RECORD, "text": written}).text == text
    assert read_one({"data": {**RECORD, "text": written, "id": "1"}}).text == text


def test_a_text_as_earlier_versions_stored_it_is_known() -> None:
    assert "Fish &amp; chips &lt;3" in read_one({**RECORD, "text": "Fish & chips <3"}).former_texts
    assert read_one({**RECORD, "text": "Fish &amp; chips"}).former_texts[0] == "Fish &amp; chips"
    assert read_one(RECORD).former_texts == ()
    assert read_one({**RECORD, "text": "a\ud800 &amp;"}).former_texts == ()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"id": 1050118621198921700, "id_str": "1050118621198921745"}, "1050118621198921745"),
        ({"id": 17, "id_str": ""}, 17),
        ({"id": None, "tweet_id": "5"}, "5"),
        ({"id": None, "rest_id": "6", "legacy": {"full_text": "words"}}, "6"),
        ({"id": None}, None),
    ],
)
def test_the_id_in_letters_wins(fields: dict[str, Any], expected: object) -> None:
    assert read_one({**RECORD, **fields}).id == expected


PHOTO_V1 = {"id_str": "77", "type": "photo", "media_url_https": "https://pbs.twimg.com/media/GtU9_x.jpg"}
FLAT = {
    "media_keys": ["7_1", "3_2"],
    "media": [{"media_key": "7_1", "type": "video"}, {"media_key": "3_2", "type": "photo"}],
}


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"attachments": FLAT}, ["3_2", "1"]),
        ({"attachments": {"media_keys": ["7_1", "3_2"]}}, ["3_2", "1"]),
        ({"attachments": {"media_keys": [{"media_key": "3_2", "type": "photo"}]}}, ["3_2", "1"]),
        ({"extended_entities": {"media": [PHOTO_V1]}}, ["77", "3_77", "GtU9_x", "1"]),
        ({"entities": {"media": [PHOTO_V1]}}, ["77", "3_77", "GtU9_x", "1"]),
        ({"extended_tweet": {"extended_entities": {"media": [PHOTO_V1]}}}, ["77", "3_77", "GtU9_x", "1"]),
        ({"media": [{"_type": "snscrape.modules.twitter.Photo", "fullUrl": "https://h/media/Ab-1?format=png&name=orig"}]},
         ["Ab-1", "1"]),
        ({"media": {"photos": [{"url": "https://h/media/Ab_2.jpg:large"}], "videos": []}}, ["Ab_2", "1"]),
        ({"photos": ["https://h/media/Ab3.jpg"]}, ["Ab3", "1"]),
        ({"image": "https://pbs.twimg.com/media/Ab4.jpg"}, ["Ab4", "1"]),
        ({"retweeted_status": {"id_str": "9", "text": "x", "entities": {"media": [PHOTO_V1]}}}, ["77", "3_77", "GtU9_x", "9"]),
    ],
)  # fmt: skip
def test_names_of_a_photo_that_the_record_tells_of(fields: dict[str, Any], names: list[str]) -> None:
    found = read_one({"id": "1", "text": "words", **fields})
    keys = [found.image_key, *found.other_keys]
    assert keys == [
        f"landing/day/{name}.{ending}" for name in names for ending in ("jpg", "jpeg", "png", "gif", "webp")
    ]


def test_a_key_that_the_record_names_is_the_only_one() -> None:
    found = read_one({**RECORD, "extended_entities": {"media": [PHOTO_V1]}, "attachments": FLAT})
    assert (found.image_key, found.other_keys) == ("landing/day/p.jpg", ())


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"attachments": {"media_keys": ["7_1"], "media": [{"media_key": "7_1", "type": "video"}]}}, "video"),
        ({"extended_entities": {"media": [{**PHOTO_V1, "type": "animated_gif"}]}}, "animated_gif"),
        ({"attachments": {"media_keys": ["7_1"]}}, "not in includes.media"),
    ],
)
def test_media_without_a_photo(fields: dict[str, Any], kinds: str) -> None:
    rejection = refuse_one({"id": "1", "text": "words", **fields})
    assert (rejection.code, rejection.id) == ("image_not_named", "1")
    assert (
        f"expected a photo among the tweet's media, found: {kinds}; name the image's key in the field"
        in rejection.reason
    )
    assert "attachments.media (X API v2) or extended_entities.media (v1.1)" in rejection.reason
    assert "beside the batch as <media key>.jpg" in rejection.reason


def test_a_name_that_leads_elsewhere_is_no_name() -> None:
    media = [{"media_key": "../x", "type": "photo"}]
    assert refuse_one({"id": "1", "text": "x", "attachments": {"media": media}}).code == "image_key_invalid"
    (found,) = read({"id": "../1", "text": "x", "photos": ["https://h/media/..%2Fx.jpg", "https://[h/x.jpg"]})
    assert isinstance(found, Candidate)
    assert found.image_key is None


@pytest.mark.parametrize(
    ("fields", "moment"),
    [
        ({"created_at": "2020-01-01", "date": "2019-01-01"}, "2020-01-01"),
        ({"date": "2019-01-01"}, "2019-01-01"),
        ({"created_at": "", "timestamp_ms": "1477437716000"}, "1477437716000"),
        ({}, None),
    ],
)
def test_times(fields: dict[str, Any], moment: object) -> None:
    assert read_one({**RECORD, **fields}).created_at == moment


def test_languages() -> None:
    assert read_one({**RECORD, "language": "lv"}).lang == "lv"
    assert read_one({**RECORD, "lang": "en", "language": "lv"}).lang == "en"


@pytest.mark.parametrize("value", [{"delete": {"status": {"id": 5}}}, {"limit": {"track": 3}}, {}])
def test_notices_of_a_stream_are_no_tweets(value: dict[str, Any]) -> None:
    rejection = refuse_one(value)
    assert rejection.code == "record_not_json"
    assert f"found an object with {', '.join(value) or 'no fields'}" in rejection.reason
