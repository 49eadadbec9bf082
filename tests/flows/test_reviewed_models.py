"""People's labels of the landing zone's tweets in use: class names, gate, a head, doubts."""

from typing import TYPE_CHECKING

import pytest

from flows.jobs.agreement_watch import watch_task
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
    """Somebody has labelled all 30 tweets of the landing zone at random, and 20 of the others as she came across them."""
    say(scoring, "landing", 30, "random")
    say(scoring, "unlabelled", 20, "browse")
    return scoring


def say(platform: "Platform", data: str, tweets: int, queue: str) -> None:
    """Labels of both tasks that alternate, but for three texts."""
    with platform.catalog.session() as session:
        dataset, shards = get_dataset(session, data), list_shards(session, data)
    assert dataset is not None
    stored = [read_shard(platform.store.get(shard.key), ["id"]).column("id").to_pylist() for shard in shards]
    rows = [
        NewAnnotation(
            dataset_id=dataset.id, tweet_id=tweet_id, task=task, kind="label", person="ada", queue=queue,
            value=(number + (task == "text" and number < 3)) % 2, guideline=GUIDELINE_VERSION, token=f"{data}-{tweet_id}",
        )
        for number, tweet_id in enumerate([each for ids in stored for each in ids][:tweets])
        for task in ("text", "image")
    ]  # fmt: skip
    with platform.catalog.session() as session:
        record_annotations(session, rows)


def test_reviewed_names_judges_teaches_and_doubts(labelled: "Platform") -> None:
    report = run_evaluation(labelled, ["itrp-text-task/1"], "reviewed")
    held = refresh_reviewed(labelled)
    assert held.test["text"] + held.train["text"] == 50
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


def test_agreement_looks_at_the_labels_that_there_are_now(labelled: "Platform") -> None:
    assert watch_task(labelled, Task.TEXT, "reviewed").data == "reviewed"
    with labelled.catalog.session() as session:
        assert sum(shard.pairs for shard in list_shards(session, "reviewed")) == 50


def test_a_new_hundred_is_told_once(labelled: "Platform") -> None:
    assert find_new_hundred(labelled) is None
    found = find_new_hundred(labelled, step=20)
    assert found is not None
    assert (found.labels, found.measurable) == (40, {"text": True, "image": True})
    assert found.trainable
    assert find_new_hundred(labelled, step=20) is not None, "told is what is remembered"
    assert remember_hundred(labelled.catalog, found)
    assert not remember_hundred(labelled.catalog, found)
    assert find_new_hundred(labelled, step=20) is None
    more = find_new_hundred(labelled, step=50)
    assert more is not None
    assert more.labels == 50


def test_doubtful_labels_wait_in_their_queue(labelled: "Platform") -> None:
    report = run_analysis(labelled, "errors", data="reviewed")
    assert report.figures["queued"] > 0
    update_index(labelled.catalog, labelled.store)
    with labelled.catalog.session() as session:
        dataset = get_dataset(session, "landing")
        assert dataset is not None
        waiting = next_tweets(session, Queue.ERRORS, dataset.id, "ada", limit=30)
    assert len(waiting) == report.figures["queued"]
