"""People's labels as a data set: who is in which split, and that it follows what people say."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from flows.jobs.datasets import find_data
from flows.jobs.ingestion import ingest_folder
from flows.jobs.reviewed import ReviewedReport, refresh_if_reviewed, refresh_reviewed
from infra.catalog.annotations import withdraw
from infra.catalog.review_tables import Kind
from itrp.data.annotations import Annotations
from itrp.data.inputs import read_ids
from itrp.data.shards import read_shard
from itrp.data.splits import assign_split
from itrp.datasets.table import TableSource
from itrp.errors import WrongUseError
from serving.assessment import load_labelled_set
from serving.errors import NotFoundError
from serving.files import local_shards
from tests.flows.labelled_zone import LabelledZone, open_zone

TWEETS = 12


@pytest.fixture
def zone(tmp_path: Path) -> LabelledZone:
    return open_zone(tmp_path / "work", [f"words {number}" for number in range(TWEETS)])


def refresh(zone: LabelledZone) -> tuple[ReviewedReport, dict[str, tuple[str, int, int]]]:
    """The report, and id -> (split, text label, image label)."""
    report = refresh_reviewed(zone.platform)
    known = find_data(zone.platform.catalog, "reviewed")
    assert known.dataset.annotations_key is not None
    found = Annotations.from_parquet(zone.platform.store.get(known.dataset.annotations_key))
    files = local_shards(zone.platform.store, known.shards, zone.platform.settings.cache_dir)
    assert [tweet_id for file in files for tweet_id in read_ids(file)] == found.ids.tolist()
    rows = zip(found.ids.tolist(), found.split.tolist(), found.text.tolist(), found.image.tolist(), strict=True)
    return report, {tweet_id: (split, text, image) for tweet_id, split, text, image in rows}


def sides(zone: LabelledZone) -> tuple[list[str], list[str]]:
    """Ids whose hash says test, and the others."""
    test = [tweet_id for tweet_id in zone.ids if assign_split(tweet_id) == "test"]
    return test, [tweet_id for tweet_id in zone.ids if tweet_id not in test]


def test_labels_become_a_data_set_with_the_tweets(zone: LabelledZone) -> None:
    (a, b, *_), (c, *_) = sides(zone)
    zone.say(a, 1, 0)
    zone.say(b, 1, None, queue="browse")
    zone.say(c, 0, 1)
    report, found = refresh(zone)
    assert found == {a: ("test", 1, 0), b: ("train", 1, -1), c: ("train", 0, 1)}
    assert (report.tweets, report.added) == (3, 3)
    assert (report.test, report.train) == ({"text": 1, "image": 1}, {"text": 2, "image": 1})
    (shard,) = find_data(zone.platform.catalog, "reviewed").shards
    stored = {row["id"]: row for row in read_shard(zone.platform.store.get(shard.key)).to_pylist()}
    source = read_shard(zone.platform.store.get(zone.shards()[0].key)).to_pylist()
    for row in source:
        if row["id"] in stored:
            assert stored[row["id"]] == row
    labelled = load_labelled_set(
        zone.platform.store, zone.platform.catalog, "reviewed", zone.platform.settings.cache_dir
    )
    assert len(labelled.dev_rows) == 2


def test_it_grows_by_shards_and_does_nothing_twice(zone: LabelledZone) -> None:
    first, second, third, *_ = zone.ids
    zone.say(first, 1, 0)
    refresh(zone)
    before = find_data(zone.platform.catalog, "reviewed")
    assert refresh(zone)[0].added == 0
    assert find_data(zone.platform.catalog, "reviewed").hash == before.hash
    zone.say(third, 1, 1)
    zone.say(second, 0, 0)
    report, found = refresh(zone)
    after = find_data(zone.platform.catalog, "reviewed")
    assert (report.tweets, report.added) == (3, 2)
    assert [shard.hash for shard in after.shards][:1] == [shard.hash for shard in before.shards]
    assert [shard.pairs for shard in after.shards] == [1, 2]
    assert [*found] == [first, second, third]


def test_refreshes_at_once_store_every_tweet_once(zone: LabelledZone) -> None:
    for tweet_id in zone.ids[:7]:
        zone.say(tweet_id, 1, 0)
    with ThreadPoolExecutor(4) as pool:
        reports = [*pool.map(lambda _: refresh_reviewed(zone.platform), range(4))]
    assert {report.tweets for report in reports} == {7}
    assert sum(report.added for report in reports) == 7
    assert len(refresh(zone)[1]) == 7


def test_corrected_withdrawn_and_decided_labels_are_followed(zone: LabelledZone) -> None:
    first, second, third, *_ = zone.ids
    for tweet_id in (first, second, third):
        zone.say(tweet_id, 1, 1, queue="browse")
    refresh(zone)
    zone.say(first, 0, None, queue="browse")
    zone.say(second, 0, None, "bo", queue="disagree")
    with zone.platform.catalog.session() as session:
        withdraw(session, zone.dataset_id, third, "ada", token="back", guideline="2026-11")
    report, found = refresh(zone)
    assert {tweet_id: row[1:] for tweet_id, row in found.items()} == {first: (0, 1), second: (-1, 1), third: (-1, -1)}
    assert report.added == 0
    zone.say(second, 1, None, "cy", queue="disagree", kind=Kind.DECISION)
    assert refresh(zone)[1][second][1:] == (1, 1)


def test_what_has_taught_a_model_never_measures_one(zone: LabelledZone) -> None:
    """A tweet of the test half that somebody chose is train, and stays there when chance brings it later; one of the test split
    is never taught, and counts only while a random label stands behind it."""
    (chosen, drawn, *_), _ = sides(zone)
    zone.say(chosen, 1, 1, queue="least-certain")
    zone.say(drawn, 1, None)
    zone.say(drawn, None, 1, queue="browse")
    assert refresh(zone)[1] == {chosen: ("train", 1, 1), drawn: ("test", 1, -1)}
    zone.say(chosen, 0, 0, queue="random", token="later")
    with zone.platform.catalog.session() as session:
        withdraw(session, zone.dataset_id, drawn, "ada", token="back", guideline="2026-11", tasks=["text"])
    zone.say(drawn, 0, None, "bo", queue="browse")
    assert refresh(zone)[1] == {chosen: ("train", 0, 0), drawn: ("test", -1, -1)}


def test_tweets_of_several_data_sets_stand_side_by_side(zone: LabelledZone, tmp_path: Path) -> None:
    import pandas as pd

    image = zone.platform.store.local_path(f"landing/day/{zone.ids[0]}.jpg")
    frame = pd.DataFrame({"id": [zone.ids[0], "other"], "text": ["same id", "mine"], "image": [image, image]})
    ingest_folder(zone.platform.store, zone.platform.catalog, "mine", TableSource(frame))
    zone.say(zone.ids[0], 1, 1)
    dataset = find_data(zone.platform.catalog, "mine").dataset.id
    own = LabelledZone(zone.platform, ["other"], dataset)
    own.say("other", 0, 1, token="mine")
    own.say(zone.ids[0], 0, 0, "bo", token="mine too")
    _, found = refresh(zone)
    assert {tweet_id: row[1:] for tweet_id, row in found.items()} == {zone.ids[0]: (1, 1), "other": (0, 1)}


def test_without_labels_it_says_what_to_do(zone: LabelledZone, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"made of people's labels, and there is none yet: .*itrp review"):
        refresh_if_reviewed(zone.platform, "reviewed")
    refresh_if_reviewed(zone.platform, "landing")
    image = zone.platform.store.local_path(f"landing/day/{zone.ids[0]}.jpg")
    import pandas as pd

    source = TableSource(pd.DataFrame({"id": ["x"], "text": ["mine"], "image": [image]}))
    with pytest.raises(WrongUseError, match="which is made of people's labels"):
        ingest_folder(zone.platform.store, zone.platform.catalog, "reviewed", source)


def test_splits_are_halves() -> None:
    test = np.array([assign_split(str(number)) == "test" for number in range(2000)])
    assert 0.46 < test.mean() < 0.54
