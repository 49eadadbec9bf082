"""Labelling without a script: entered once, taken back, changed, and never lost between two tabs."""

from collections.abc import Callable

from infra.catalog.annotations import annotation_history
from infra.catalog.current_labels import current_labels
from infra.catalog.review_tables import Annotation
from tests.review_stage import Stage
from tests.serving.review.conftest import Reader

YES_NO = {"text": "1", "image": "0", "action": "save"}


def answers(stage: Stage) -> dict[tuple[str, str, str], int]:
    """What holds now: (tweet, task, person) -> value."""
    with stage.platform.catalog.session() as session:
        return {(each.tweet_id, each.task, each.person): each.value for each in current_labels(session)}


def history(stage: Stage) -> list[Annotation]:
    with stage.platform.catalog.session() as session:
        return annotation_history(session)


def open_tweet(reader: Reader, queue: str = "random") -> str:
    """The next tweet's id."""
    reader.get(f"/label?queue={queue}")
    return reader.path.rpartition("/")[2]


def test_an_answer_is_entered_with_queue_guideline_and_seconds_and_the_next_tweet_comes(
    ana: Reader, stage: Stage
) -> None:
    tweet = open_tweet(ana)
    html = ana.send(tweet, **YES_NO, note="The sign\x00 says\x07 so.")
    assert "Saved." in html
    assert ana.path.rpartition("/")[2] != tweet
    assert answers(stage) == {(tweet, "text", "ana"): 1, (tweet, "image", "ana"): 0}
    image, text = history(stage)
    assert {text.task, image.task} == {"text", "image"}
    assert (text.queue, text.guideline, text.source, text.note) == ("random", "2026-11", "page", "The sign says so.")
    assert text.seconds is not None
    assert 0 <= text.seconds < 60


def test_a_form_that_is_sent_twice_is_entered_once(ana: Reader, stage: Stage) -> None:
    tweet = open_tweet(ana)
    assert ana.page is not None
    before = ana.page
    ana.send(tweet, **YES_NO)
    ana.page = before
    ana.send(tweet, **YES_NO)
    assert len(history(stage)) == 2


def test_of_two_tabs_that_differ_the_first_answer_stands_and_the_second_is_told(ana: Reader, stage: Stage) -> None:
    tweet = open_tweet(ana)
    first = ana.page
    ana.get(f"/label/landing/{tweet}?queue=random")
    second = ana.page
    ana.page = first
    ana.send(tweet, **YES_NO)
    ana.page = second
    html = ana.send(tweet, text="0", image="0", action="save")
    assert "answered already" in html
    assert answers(stage)[tweet, "text", "ana"] == 1
    # the page that tells it has a new form, with which the answer is changed
    ana.send(tweet, text="0", image="0", action="save")
    assert answers(stage)[tweet, "text", "ana"] == 0
    assert len(history(stage)) == 4


def test_a_skip_and_what_one_cannot_tell_are_no_labels_and_are_not_asked_again(ana: Reader, stage: Stage) -> None:
    first = open_tweet(ana)
    assert "Skipped" in ana.send(first, action="skip")
    second = ana.path.rpartition("/")[2]
    ana.send(second, text="unsure", image="1", action="save")
    assert answers(stage) == {(second, "image", "ana"): 1}
    assert [row.kind for row in history(stage)].count("skip") == 3
    assert open_tweet(ana) not in (first, second)


def test_without_both_answers_nothing_is_entered(ana: Reader, stage: Stage) -> None:
    tweet = open_tweet(ana)
    assert "Answer both questions" in ana.send(tweet, text="1", action="save")
    assert "Answer both questions" in ana.send(tweet, text="1", image="7", action="save")
    assert history(stage) == []


def test_the_last_answer_is_taken_back_once_however_often_the_form_is_sent(ana: Reader, stage: Stage) -> None:
    first = open_tweet(ana)
    ana.send(first, **YES_NO)
    second = ana.path.rpartition("/")[2]
    ana.send(second, **YES_NO)
    sent = ana.page
    html = ana.send("/label/undo")
    assert "taken back" in html
    assert ana.path.endswith(second)
    ana.page = sent
    ana.send("/label/undo")
    assert ana.path.endswith(second)
    assert {tweet for tweet, _, _ in answers(stage)} == {first}
    ana.send("/label/undo")
    assert ana.path.endswith(first)
    assert answers(stage) == {}
    assert "no answer of yours to take back" in ana.send("/label/undo")


def test_labelling_is_blind(stage: Stage, sit_down: Callable[[str], Reader]) -> None:
    ana, ben = sit_down("ana"), sit_down("ben")
    tweet = open_tweet(ana)
    ana.send(tweet, **YES_NO, note="Ana's reason")
    html = ben.get(f"/label/landing/{tweet}?queue=random")
    assert " checked" not in html
    assert "Ana" not in html
    for code_words in ("neither shown nor adding", "picture adds nothing", "and picture adds"):
        assert code_words not in html
    assert "1 entry" not in ben.get(f"/tweets/landing/{tweet}")
    assert "2 entries are hidden" in ben.get(f"/tweets/landing/{tweet}")
    # her own answer she sees
    assert ana.get(f"/label/landing/{tweet}?queue=random").count(" checked") == 2


def test_a_tweet_is_left_to_others_once_enough_people_have_labelled_it(
    stage: Stage, sit_down: Callable[[str], Reader]
) -> None:
    ana, ben, eva = sit_down("ana"), sit_down("ben"), sit_down("eva")
    tweet = open_tweet(ana)
    ana.send(tweet, **YES_NO)
    assert open_tweet(ben) == tweet  # begun by one, wanted of two: before all others
    ben.send(tweet, **YES_NO)
    assert open_tweet(eva) != tweet


def test_every_queue_brings_a_tweet_and_says_what_it_is_for(ana: Reader) -> None:
    html = ana.get("/label")
    for queue in ("random", "least-certain", "disagree", "clusters"):
        assert f"queue={queue}" in html
        assert open_tweet(ana, queue)
    assert "Only labels of this queue count for measuring" in html
    assert "nothing in it waits for you" in ana.get("/label?queue=errors")


def test_somebody_elses_form_is_not_taken(stage: Stage, sit_down: Callable[[str], Reader]) -> None:
    ana, ben = sit_down("ana"), sit_down("ben")
    tweet = open_tweet(ana)
    page = ana.page
    open_tweet(ben)
    ben.page = page
    ben.send(tweet, status=403, **YES_NO)
    assert history(stage) == []


def test_a_label_is_withdrawn_and_corrected_on_the_tweets_own_page(ana: Reader, stage: Stage) -> None:
    tweet = open_tweet(ana)
    ana.send(tweet, **YES_NO)
    assert "Shown: <strong>yes</strong>" in ana.get(f"/tweets/landing/{tweet}")
    assert "withdrawn" in ana.send("/withdraw")
    assert answers(stage) == {}
    ana.get(f"/label/landing/{tweet}")
    ana.send(tweet, text="0", image="0", action="save")
    assert ana.path == f"/tweets/landing/{tweet}"
    assert answers(stage) == {(tweet, "text", "ana"): 0, (tweet, "image", "ana"): 0}
    kinds = [(row.kind, row.queue) for row in history(stage)]
    assert kinds == [("label", "browse")] * 2 + [("withdrawal", "random")] * 2 + [("label", "random")] * 2
