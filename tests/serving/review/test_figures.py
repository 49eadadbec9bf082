"""Agree and How good over a real catalog: the figures are those of the labels that count, and of no others."""

from collections.abc import Callable, Sequence

import pytest

from infra.catalog.annotations import NewAnnotation, record_annotations
from infra.catalog.browse import list_pairs
from infra.catalog.queries import get_dataset
from infra.catalog.queues import next_tweets
from infra.catalog.review_tables import TASKS, Kind, Queue
from infra.catalog.tables import Dataset, ModelRun
from itrp.data.splits import assign_split
from itrp.labels import GUIDELINE_VERSION
from serving.review.measured import collect_sample, measure
from tests.review_stage import Stage
from tests.serving.review.conftest import Reader, read_forms


def label_truly(
    stage: Stage, person: str, number: int, *, queue: Queue = Queue.RANDOM, wrong: Sequence[int] = ()
) -> list[str]:
    """A person labels her next tweets of a queue with the truth, but for the text of the tweets at these places."""
    with stage.platform.catalog.session() as session:
        dataset = get_dataset(session, "landing")
        assert dataset is not None
        tweets = next_tweets(session, queue, dataset.id, person, people=9, limit=number)
        rows = [
            NewAnnotation(
                dataset_id=dataset.id, tweet_id=tweet.tweet_id, task=task, kind=Kind.LABEL,
                value=1 - value if place in wrong and task == "text" else value,
                person=person, queue=queue, guideline=GUIDELINE_VERSION, token=f"{person} {tweet.tweet_id}",
            )
            for place, tweet in enumerate(tweets)
            for task, value in zip(TASKS, stage.truth[tweet.tweet_id], strict=True)
        ]  # fmt: skip
        record_annotations(session, rows)
    return [tweet.tweet_id for tweet in tweets]


def test_only_random_labels_measure_and_the_page_says_how_many_do_not(stage: Stage, ana: Reader) -> None:
    chosen = label_truly(stage, "ben", 10, queue=Queue.LEAST_CERTAIN)
    assert "There is no random label yet" in ana.get("/how-good")
    drawn = label_truly(stage, "ana", 20)
    html = ana.get("/how-good")
    with stage.platform.catalog.session() as session:
        dataset = get_dataset(session, "landing")
        assert dataset is not None
        pair = list_pairs(session, dataset.id)[0]
        found = measure(collect_sample(session, dataset.id, pair))
    assert found.text is not None
    assert found.text.figures.n == len(drawn)
    assert found.population == 60
    assert f"{len({*chosen} - {*drawn})} other labelled tweets are left out" in html
    assert "Share of tweets where the picture adds to the tweet" in html
    assert "from 20 labels" in html
    assert "20 labels only" in html  # how wide the interval is, said before the figure
    assert html.count('class="plot"') == 2


def test_a_models_figures_are_those_counted_by_hand(stage: Stage, ana: Reader) -> None:
    """All tweets labelled truly: accuracy is the share of right labels, and the estimates are the collection's own shares."""
    label_truly(stage, "ana", 60)
    with stage.platform.catalog.session() as session:
        dataset = get_dataset(session, "landing")
        assert dataset is not None
        pair = list_pairs(session, dataset.id)[0]
        sample = collect_sample(session, dataset.id, pair)
    found = measure(sample)
    assert found.relations is not None
    hits = sum(2 * text + image == relation for text, image, relation, _, _ in sample.rows)
    assert found.relations.accuracy.value == hits / 60
    shares = {each.name: each.share for each in found.estimates}
    adds = sum(image for _, image in stage.truth.values()) / 60
    estimate = shares["the picture adds to the tweet"]
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((adds, adds, adds))
    assert ana.get("/how-good").count("too few tweets to make the interval half as wide") == 2


def test_a_model_that_has_learned_from_people_is_measured_by_the_other_half(stage: Stage, ana: Reader) -> None:
    drawn = label_truly(stage, "ana", 40)
    with stage.platform.catalog.session() as session:
        reviewed = Dataset(name="reviewed", layout="reviewed")
        session.add(reviewed)
        session.flush()
        session.add(
            ModelRun(
                mlflow_run_id="r", experiment="labelled-head", task="text", seed=0, dataset_id=reviewed.id,
                dataset_hash="0", config={}, rounds=1, model_name="itrp-text-task", model_version="3",
            )
        )  # fmt: skip
    html = ana.get("/how-good")
    other_half = sum(assign_split(tweet) == "test" for tweet in drawn)
    assert 0 < other_half < 40
    assert "Only the other half measures them" in html
    assert f"from {other_half} labels" in html
    older = ana.get(f"/how-good?models={html.split('models=')[2].split(chr(34))[0]}")
    assert "Only the other half" not in older
    assert "from 40 labels" in older


def test_alpha_is_counted_by_hand_and_disagreements_wait_for_a_decision(
    stage: Stage, sit_down: Callable[[str], Reader]
) -> None:
    """Ten tweets, two of which ben sees otherwise for the text task; for the image task both say the truth."""
    drawn = label_truly(stage, "ana", 10)
    with stage.platform.catalog.session() as session:
        dataset = get_dataset(session, "landing")
        assert dataset is not None
        rows = [
            NewAnnotation(
                dataset_id=dataset.id, tweet_id=tweet, task=task, kind=Kind.LABEL,
                value=1 - value if place < 2 and task == "text" else value, person="ben", queue=Queue.RANDOM,
                guideline=GUIDELINE_VERSION, token=f"ben {tweet}", note="Ben's reason" if place == 0 else None,
            )
            for place, tweet in enumerate(drawn)
            for task, value in zip(TASKS, stage.truth[tweet], strict=True)
        ]  # fmt: skip
        record_annotations(session, rows)
    said = [stage.truth[tweet][0] for tweet in drawn]
    ones = sum(said) + sum(1 - value if place < 2 else value for place, value in enumerate(said))
    alpha = 1 - 19 * 2 / (ones * (20 - ones))
    reader = sit_down("eva")
    html = reader.get("/agree")
    assert f"Alpha {alpha:.2f}" in html
    assert "Alpha 1.00: <strong>reliable</strong>" in html
    assert html.count('class="tweet panel case"') == 2
    assert "Ben&#39;s reason" in html
    tweet = min(drawn[:2])
    assert "Give a reason" in reader.send(tweet, task="text", value="1", reason="  ")
    html = reader.send(tweet, task="text", value="1", reason="It is in the picture.")
    assert "Decided." in html
    assert html.count('class="tweet panel case"') == 1
    history = reader.get(f"/tweets/landing/{tweet}?people=1")
    assert "decided: yes" in history
    assert "It is in the picture." in history
    reader.get("/agree")
    reader.post(f"/agree/landing/{tweet}", {**_hidden(reader), "task": "sound", "value": "1", "reason": "x"}, 400)


def _hidden(reader: Reader) -> dict[str, str]:
    assert reader.page is not None
    return next(iter(read_forms(reader.page.text).values()))


def test_home_says_the_next_step(stage: Stage, ana: Reader) -> None:
    assert "With 100 of them you know how good the labels are" in ana.get("/")
    label_truly(stage, "ana", 30)
    assert "there are 30" in ana.get("/")
