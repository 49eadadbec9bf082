"""The page over a catalog in PostgreSQL: what it asks there means the same."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from infra.catalog.people import find_or_add_person
from serving.review.access import OwnAccess
from serving.review.app import make_app
from tests.review_stage import build_stage
from tests.serving.review.conftest import ADDRESS, Reader, make_desk
from tests.serving.review.test_label import YES_NO, answers, open_tweet

pytestmark = pytest.mark.e2e


def test_two_people_label_agree_and_measure(postgres_url: str, tmp_path: Path) -> None:
    stage = build_stage(tmp_path, 40, catalog_url=postgres_url)

    def sit_down(person: str) -> Reader:
        with stage.platform.catalog.session() as session:
            find_or_add_person(session, person)
        app = make_app(make_desk(stage.platform, OwnAccess(person)), (ADDRESS,))
        return Reader(TestClient(app, base_url=ADDRESS))

    ana, ben = sit_down("ana"), sit_down("ben")
    for _ in range(4):
        tweet = open_tweet(ana)
        ana.send(tweet, **YES_NO)
        assert open_tweet(ben) == tweet
        ben.send(tweet, text="0", image="0", action="save")
    assert len(answers(stage)) == 16
    assert "Decided." in _decide(ben)
    for address in (
        *(
            "/",
            "/label",
            "/browse?words=the&lang=en&order=random",
            "/browse?order=least-certain&human=labelled&labels=1",
        ),
        *("/browse?since=2015-01-01&until=2030-01-01&relation=11", f"/tweets/landing/{tweet}", "/how-good"),
    ):
        ana.get(address)
    ana.get(f"/label/landing/{tweet}?queue=random")
    assert "taken back" in ana.send("/label/undo")
    for queue in ("least-certain", "disagree", "clusters"):
        assert open_tweet(ana, queue)
    stage.platform.catalog.dispose()


def _decide(reader: Reader) -> str:
    html = reader.get("/agree")
    tweet = html.split('aria-label="Disagreement about tweet ')[1].split('"')[0]
    return reader.send(tweet, task="text", value="1", reason="It can be seen.")
