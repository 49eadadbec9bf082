"""Quarantined tweets taken in again: the picture came late, or the batch file changed."""

from flows.jobs.ingestion import IngestReport
from infra.catalog.queries import find_tweet
from infra.catalog.tables import QuarantinedTweet
from tests.flows.landing_zone import FOLDER, GOOD, Zone, tweet


def test_replay_after_the_picture_arrived(zone: Zone) -> None:
    zone.drop(
        "a.jsonl",
        tweet("1"),
        b"",
        tweet("2", "late.jpg"),
        tweet("3", "never.jpg"),
        tweet("4", "odd.jpg"),
        images={"good.jpg": GOOD},
    )
    zone.ingest()
    zone.store.put(FOLDER + "late.jpg", GOOD)
    zone.store.put(FOLDER + "odd.jpg", b"")
    assert zone.replay() == IngestReport(3, 1, 0, 2, 1, {"image_empty": 1, "image_missing": 1})
    rows = {row.tweet_id: (row.line, row.code, row.resolved_at is not None) for row in zone.rows(QuarantinedTweet)}
    assert rows == {
        "2": (3, "image_missing", True),
        "3": (4, "image_missing", False),
        "4": (5, "image_empty", False),
    }
    with zone.catalog.session() as session:
        (origin,) = find_tweet(session, "2")
    assert (origin.tweet.line, origin.landing_object.key) == (3, FOLDER + "a.jsonl")
    assert zone.replay() == IngestReport(2, 0, 0, 2, 0, {"image_empty": 1, "image_missing": 1})
    assert zone.stored_ids() == ["1", "2"]


def test_replay_when_the_batch_file_changed_or_went(zone: Zone) -> None:
    zone.drop("a.jsonl", tweet("1", "late.jpg"), tweet("2", "late.jpg"))
    zone.drop("b.jsonl", tweet("9", "late.jpg"))
    zone.ingest()
    zone.store.put(FOLDER + "late.jpg", GOOD)
    zone.drop("a.jsonl", tweet("other"))
    zone.store.delete([FOLDER + "b.jsonl"])
    assert zone.replay() == IngestReport(3, 0, 0, 3, 0, {"image_missing": 3})
    reasons = " ".join(row.reason for row in zone.rows(QuarantinedTweet))
    assert reasons.count("found it replaced") == 2
    assert "put it back" in reasons
    assert zone.stored_ids() == []


def test_an_old_refusal_does_not_take_in_another_tweet(zone: Zone) -> None:
    """Line 1 holds another tweet today; the ingestion of the new file takes that one in, not the old row."""
    zone.drop("a.jsonl", tweet("1", "absent.jpg"), images={"good.jpg": GOOD})
    zone.ingest()
    zone.drop("a.jsonl", tweet("5"))
    for _ in range(2):
        # Before tweet 5 is stored, and after it.
        assert zone.replay() == IngestReport(1, 0, 0, 1, 0, {"image_missing": 1})
        (row,) = zone.rows(QuarantinedTweet)
        assert (row.tweet_id, row.image_key, row.resolved_at) == ("1", FOLDER + "absent.jpg", None)
        zone.ingest()
    assert zone.stored_ids() == ["5"]
