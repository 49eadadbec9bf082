"""People's labels of the landing zone's tweets in use: class names, gate, a head, doubts."""

from typing import TYPE_CHECKING

import pytest

from flows.jobs.analysis import run_analysis
from flows.jobs.evaluation import run_evaluation
from flows.jobs.promotion import run_promotion
from flows.jobs.reviewed import choose_judging_data, refresh_reviewed
from flows.jobs.reviewed.label_watch import find_new_hundred, remember_hundred
from flows.jobs.training import run_training
from infra.catalog.annotations import NewAnnotation, record_annotations
from infra.catalog.queries import get_dataset, list_shards
from infra.catalog.queues import next_tweets
from infra.catalog.review_tables import Queue
from itrp.data.shards import read_shard
from itrp.labels import GUIDELINE_VERSION, Task
from serving.review.tweet_index import update_index

if TYPE_CHECKING:
    from flows.platform import Platform


@pytest.fixture
def labelled(scoring: "Platform") -> "Platform":
    """All 30 tweets of the landing zone labelled at random by somebody who answers by the parity of the id's last digit, but for
    three texts."""
    platform, rows = scoring, []
    with platform.catalog.session() as session:
        dataset, shards = get_dataset(session, "landing"), list_shards(session, "landing")
    assert dataset is not None
    ids = [
        tweet
        for shard in shards
        for tweet in read_shard(platform.store.get(shard.key), ["id"]).column("id").to_pylist()
    ]
    for number, tweet_id in enumerate(ids):
        for task in ("text", "image"):
            value = (number + (task == "text" and number < 3)) % 2
            rows.append(
                NewAnnotation(
                    dataset_id=dataset.id, tweet_id=tweet_id, task=task, kind="label", value=value, person="ada",
                    queue="random", guideline=GUIDELINE_VERSION, token=f"{tweet_id}",
                )
            )  # fmt: skip
    with platform.catalog.session() as session:
        record_annotations(session, rows)
    return platform


def test_reviewed_names_judges_teaches_and_doubts(labelled: "Platform") -> None:
    report = run_evaluation(labelled, ["itrp-text-task/1"], "reviewed")
    held = refresh_reviewed(labelled)
    assert held.test["text"] + held.train["text"] == 30
    assert report.n == held.test["text"]
    assert report.caution.startswith(f"{report.n} test labels only: the 95 % interval of the F1 is ")
    named = labelled.registry.resolve(report.models[0])
    assert named.tags["itrp.mapped_on"] == "reviewed"
    gate = run_promotion(labelled, Task.TEXT, data="reviewed", dry_run=True)
    assert gate.figures["data"] == "reviewed"
    assert f"; {report.n} labels are few: the interval is " in gate.reason
    assert held.test["text"] < 30
    assert choose_judging_data(labelled, Task.TEXT) == "labelled"
    trained = run_training(labelled, "labelled-head", "reviewed", ["labels=null"])
    assert {model.partition("/")[0] for model in trained.models} == {"itrp-text-task", "itrp-image-task"}
    assert any(note.startswith("text: ") and f"{held.train['text']} labels" in note for note in trained.notes)


def test_a_new_hundred_is_told_once(labelled: "Platform") -> None:
    assert find_new_hundred(labelled) is None
    found = find_new_hundred(labelled, step=20)
    assert found is not None
    assert (found.labels, found.measurable) == (20, {"text": True, "image": True})
    assert found.trainable is (max(found.reviewed.train.values()) >= 20)
    assert find_new_hundred(labelled, step=20) is not None, "told is what is remembered"
    assert remember_hundred(labelled.catalog, found)
    assert not remember_hundred(labelled.catalog, found)
    assert find_new_hundred(labelled, step=20) is None
    more = find_new_hundred(labelled, step=30)
    assert more is not None
    assert more.labels == 30


def test_doubtful_labels_wait_in_their_queue(labelled: "Platform") -> None:
    report = run_analysis(labelled, "errors", data="reviewed")
    assert report.figures["queued"] > 0
    update_index(labelled.catalog, labelled.store)
    with labelled.catalog.session() as session:
        dataset = get_dataset(session, "landing")
        assert dataset is not None
        waiting = next_tweets(session, Queue.ERRORS, dataset.id, "ada", limit=30)
    assert len(waiting) == report.figures["queued"]
