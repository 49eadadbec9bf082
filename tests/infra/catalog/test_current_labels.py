"""Labels that hold, what tweets are taken to be, and where people disagree; on SQLite and PostgreSQL."""

import hashlib
import random
from collections import Counter
from dataclasses import replace

import pytest

from infra.catalog.annotations import AnnotationFilter, NewAnnotation, record_annotations, withdraw
from infra.catalog.current_labels import count_work, current_labels, settled_labels, waiting_decisions
from infra.catalog.database import Catalog
from tests.infra.catalog.review_tweets import GUIDELINE, index_tweets, make_tweets, say

PEOPLE = ("anna", "bert", "carl")


@pytest.fixture
def dataset_id(catalog: Catalog) -> int:
    """A data set of 40 indexed tweets, t0 to t39."""
    with catalog.session() as session:
        return index_tweets(session, [each.entry for each in make_tweets(40)]).dataset_id


def make_sayings(dataset_id: int, number: int, seed: int) -> list[NewAnnotation]:
    """Labels, skips, withdrawals and decisions of three people about eight tweets, as chance has it."""
    draw = random.Random(seed)
    said = []
    for _ in range(number):
        kind = draw.choices(["label", "skip", "withdrawal", "decision"], [6, 1, 1, 1])[0]
        value = {"label": draw.randrange(2), "decision": draw.choice([0, 1, None])}.get(kind)
        changes = {"kind": kind, "task": draw.choice(["text", "image"]), "queue": draw.choice(["random", "browse"])}
        said.append(say(dataset_id, f"t{draw.randrange(8)}", draw.choice(PEOPLE), value, **changes))
    return said


def held(said: list[NewAnnotation]) -> dict[tuple[str, str, str], NewAnnotation]:
    """(tweet, task, person) -> her newest row, decisions aside: by the words of the rule, in plain Python."""
    return {(each.tweet_id, each.task, each.person): each for each in said if each.kind != "decision"}


def settle(said: list[NewAnnotation]) -> dict[tuple[str, str], tuple[int, bool]]:
    """(tweet, task) -> value, and whether it was decided; in plain Python."""
    votes: dict[tuple[str, str], Counter[int]] = {}
    for (tweet, task, _), row in held(said).items():
        if row.value is not None:
            votes.setdefault((tweet, task), Counter())[row.value] += 1
    settled = {
        question: (int(counts[1] > counts[0]), False) for question, counts in votes.items() if counts[0] != counts[1]
    }
    decisions = {(each.tweet_id, each.task): each.value for each in said if each.kind == "decision"}
    return settled | {question: (value, True) for question, value in decisions.items() if value is not None}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_labels_hold_and_settle_as_the_rule_says(catalog: Catalog, dataset_id: int, seed: int) -> None:
    said = make_sayings(dataset_id, 150, seed)
    with catalog.session() as session:
        record_annotations(session, said)
    with catalog.session() as session:
        found = {(each.tweet_id, each.task, each.person): each.value for each in current_labels(session)}
        assert found == {key: row.value for key, row in held(said).items() if row.kind == "label"}
        settled = {(each.tweet_id, each.task): (each.value, each.decided) for each in settled_labels(session)}
        assert settled == settle(said)


@pytest.mark.parametrize("seed", [4, 5])
def test_waiting_are_those_that_differ_undecided(catalog: Catalog, dataset_id: int, seed: int) -> None:
    said = make_sayings(dataset_id, 120, seed)
    with catalog.session() as session:
        record_annotations(session, said)
    values: dict[tuple[str, str], dict[str, int]] = {}
    for (tweet, task, person), row in held(said).items():
        if row.value is not None:
            values.setdefault((tweet, task), {})[person] = row.value
    decided = {question for question, (_, by_decision) in settle(said).items() if by_decision}
    expected = {
        question: answers
        for question, answers in values.items()
        if len({*answers.values()}) == 2 and question not in decided
    }
    with catalog.session() as session:
        waiting = waiting_decisions(session, dataset_id)
        assert len(expected) >= 3
        assert {
            (each.tweet_id, each.task): {answer.person: answer.value for answer in each.answers} for each in waiting
        } == expected
        paged = [waiting_decisions(session, dataset_id, limit=1)[0]]
        while more := waiting_decisions(session, dataset_id, after=(paged[-1].tweet_id, paged[-1].task), limit=2):
            paged += more
        assert paged == waiting


def test_labels_by_filter(catalog: Catalog, dataset_id: int) -> None:
    said = make_sayings(dataset_id, 150, 6)
    with catalog.session() as session:
        record_annotations(session, said)
        labels = current_labels(session)
        for wanted in (
            AnnotationFilter(tasks=["image"]),
            AnnotationFilter(queues=["browse"]),
            AnnotationFilter(people=["anna", "carl"], tweet_ids=["t1", "t2"]),
        ):
            expected = [
                each
                for each in labels
                if each.task in wanted.tasks
                and (wanted.queues is None or each.queue in wanted.queues)
                and (wanted.people is None or each.person in wanted.people)
                and (wanted.tweet_ids is None or each.tweet_id in wanted.tweet_ids)
            ]
            assert 0 < len(expected) < len(labels)
            assert current_labels(session, wanted) == expected
        assert current_labels(session, AnnotationFilter(dataset_id=dataset_id + 1)) == []


def test_a_decision_outlives_the_labels_it_decided(catalog: Catalog, dataset_id: int) -> None:
    with catalog.session() as session:
        record_annotations(session, [say(dataset_id, "t1", "anna", 1), say(dataset_id, "t1", "bert", 0)])
        assert settled_labels(session) == []
        record_annotations(session, [say(dataset_id, "t1", "carl", 0, kind="decision", note="a cat is no dog")])
        (settled,) = settled_labels(session)
        assert (settled.value, settled.decided, settled.zeros, settled.ones, settled.random) == (0, True, 1, 1, True)
        for person in ("anna", "bert"):
            withdraw(session, dataset_id, "t1", person, token=f"w {person}", guideline=GUIDELINE)
        (settled,) = settled_labels(session)
        assert (settled.value, settled.zeros, settled.ones, settled.random) == (0, 0, 0, False)
        assert (
            settled_labels(session, AnnotationFilter(queues=["random"])) == settled_labels(session, random=True) == []
        )
        record_annotations(session, [say(dataset_id, "t1", "carl", None, kind="decision")])
        assert settled_labels(session) == []


def random_order() -> list[str]:
    """Ids of all tweets by SHA-256, worked out here."""
    return sorted((f"t{row}" for row in range(40)), key=lambda each: hashlib.sha256(each.encode()).hexdigest())


def test_labels_that_count_for_measuring(catalog: Catalog, dataset_id: int) -> None:
    """Those of the random queue, those it has passed over, and a random answer that was corrected elsewhere."""
    order = random_order()
    with catalog.session() as session:
        early, late, other, corrected = order[2], order[30], order[3], order[4]
        record_annotations(session, [say(dataset_id, early, "anna", 1, queue="least-certain")])
        record_annotations(session, [say(dataset_id, late, "anna", 1, queue="least-certain")])
        record_annotations(session, [say(dataset_id, other, "bert", 1, queue="browse")])
        assert current_labels(session, random=True) == []
        record_annotations(session, [say(dataset_id, corrected, "anna", 1), say(dataset_id, order[9], "anna", None)])
        record_annotations(session, [say(dataset_id, corrected, "anna", 0, queue="browse")])
        # the queue came past this place before she chose to look at it
        record_annotations(session, [say(dataset_id, order[5], "anna", 0, queue="browse")])
        counting = {each.tweet_id: (each.person, each.value) for each in current_labels(session, random=True)}
        assert counting == {early: ("anna", 1), corrected: ("anna", 0)}
        assert {each.tweet_id for each in settled_labels(session, random=True)} == {early, corrected}
        assert {each.tweet_id for each in settled_labels(session)} == {early, late, other, corrected, order[5]}


def test_a_random_file_does_not_make_the_page_s_labels_random(catalog: Catalog, dataset_id: int) -> None:
    """A file's sample need not follow the fixed order: it tells nothing of what the page's queue has passed."""
    order = random_order()
    with catalog.session() as session:
        record_annotations(session, [say(dataset_id, order[1], "anna", 1, queue="errors")])
        record_annotations(session, [say(dataset_id, order[20], "anna", 1, source="sample.csv")])
        assert [each.tweet_id for each in current_labels(session, random=True)] == [order[20]]


def test_counting_who_did_what(catalog: Catalog, dataset_id: int) -> None:
    form = say(dataset_id, "t1", "anna", 1, seconds=3.0, token="f")
    with catalog.session() as session:
        record_annotations(session, [form, replace(form, task="image", value=0)])
        record_annotations(
            session, [say(dataset_id, "t2", "anna", None, seconds=1.5), say(dataset_id, "t3", "anna", 1)]
        )
        record_annotations(
            session, [say(dataset_id, "t1", "bert", 1, queue="browse"), say(dataset_id, "t2", "bert", 1)]
        )
        withdraw(session, dataset_id, "t2", "bert", token="w", guideline=GUIDELINE)
        assert [tuple(each) for each in count_work(session, dataset_id)] == [
            ("anna", "random", 3, 2, 1, 4.5),
            ("bert", "browse", 1, 1, 0, 0.0),
        ]
        assert count_work(session, dataset_id + 1) == []
