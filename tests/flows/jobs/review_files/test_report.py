"""One page on what the models have labelled."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from flows.jobs.review_files.report import ScoringReport, write_report
from flows.jobs.reviewed import refresh_reviewed
from infra.catalog.queries import get_dataset
from infra.catalog.tables import ModelRun
from itrp.errors import WrongUseError
from serving.errors import NotFoundError
from tests.flows.labelled_zone import LabelledZone, open_zone

HOSTILE = [
    "<script>alert('tweet')</script>",
    "<img src=x onerror=alert(1)>",
    '"><style>body{display:none}</style>',
    "\u202eright to left",
    "long " * 5000,
    "a\u0301" * 300,
]


class Page(HTMLParser):
    """Elements and what they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.references: list[str] = []
        self.handlers: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "data", "action", "poster")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture
def zone(tmp_path: Path) -> LabelledZone:
    """Sixteen tweets: two of each of 00, 01 and 11, the others 10; the last one is set aside."""
    zone = open_zone(tmp_path / "work", HOSTILE + [f"words {number}" for number in range(10)])
    chances = [(0.1, 0.1), (0.2, 0.2), (0.3, 0.8), (0.4, 0.7), (0.9, 0.9), (0.6, 0.6)]
    zone.label(dict(zip(zone.ids, chances, strict=False)), aside=[zone.ids[-1]], run="run-1")
    return zone


def make(zone: LabelledZone, path: Path, **options: Any) -> tuple[ScoringReport, Page, str]:
    report = write_report(zone.platform, path, **options)
    text = path.read_text(encoding="utf-8")
    return report, Page(text), " ".join(Page(text).words.split())


def test_the_page_counts_and_needs_nothing_else(zone: LabelledZone, tmp_path: Path) -> None:
    report, page, words = make(zone, tmp_path / "a.html")
    assert (report.tweets, report.set_aside) == (15, 1)
    assert report.relations == {"00": 2, "01": 2, "10": 9, "11": 2}
    assert "15 tweets with pictures have labels; 1 has none" in words
    assert "itrp-text-task/2 and itrp-image-task/3" in words
    assert "Nothing: every tweet that came in is stored." in words
    assert {each.split(",")[0] for each in page.references} == {"data:image/jpeg;base64", "#good"}
    assert page.elements.count("img") == 2 + 2 + 6 + 2
    assert {"script", "link", "iframe", "object"}.isdisjoint(page.elements)


def test_hostile_texts_are_only_text(zone: LabelledZone, tmp_path: Path) -> None:
    _, page, words = make(zone, tmp_path / "a.html")
    assert page.handlers == []
    assert page.elements.count("style") == 1
    assert "<script>alert('tweet')</script>" in words
    assert "<img src=x onerror=alert(1)>" in words
    assert len(words) < 15_000, "a long text is cut"


def test_the_gallery_is_drawn_by_its_seed(zone: LabelledZone, tmp_path: Path) -> None:
    def shown(name: str, seed: int) -> list[str]:
        make(zone, tmp_path / name, seed=seed)
        return re.findall(r"picture of tweet (\d+)", (tmp_path / name).read_text())

    first, again, other = shown("a.html", 1), shown("b.html", 1), shown("c.html", 2)
    assert first == again
    assert first != other
    assert sorted(first[:2]) == zone.ids[:2]


def test_without_random_labels_it_says_so(zone: LabelledZone, tmp_path: Path) -> None:
    zone.say(zone.ids[0], 1, 1, queue="browse")
    report, _, words = make(zone, tmp_path / "a.html")
    assert (report.random_labels, report.estimates) == (0, [])
    assert "Nobody knows yet." in words
    assert report.next_steps[0].startswith("itrp review (nobody has labelled tweets drawn at random yet")
    assert "itrp sample 100 --queue random --data landing --out to-label" in words
    assert "people: text represented, image adds (differs)" in words


def test_with_random_labels_it_says_how_good(zone: LabelledZone, tmp_path: Path) -> None:
    """Eight tweets, of which the models are right about six texts and all eight images."""
    for number, tweet_id in enumerate(zone.ids[:8]):
        text, image = int(number in (4, 5, 6, 7)), int(number in (2, 3, 4, 5))
        zone.say(tweet_id, 1 - text if number in (0, 6) else text, image)
    report, _, words = make(zone, tmp_path / "a.html")
    assert report.random_labels == 8
    of_text, of_image = report.estimates[:2]
    assert (of_text["labels"], of_image["labels"]) == (8, 8)
    # 4 of 15 by the models, and no error seen
    assert of_image["share"] == pytest.approx(4 / 15, abs=0.02)
    assert of_image["low"] <= 4 / 15 < of_image["high"]
    assert "75 %" in words
    assert "8 labels only: the 95 % interval of the accuracy is" in words
    assert f"Share of tweets where {of_image['of']}: {100 * of_image['share']:.0f} %" in words
    assert "itrp sample 92 --queue random" in words


def test_a_model_that_learned_from_people_is_measured_by_the_other_half(zone: LabelledZone, tmp_path: Path) -> None:
    for tweet_id in zone.ids[:10]:
        zone.say(tweet_id, 1, 1)
    held = refresh_reviewed(zone.platform)
    with zone.platform.catalog.session() as session:
        known = get_dataset(session, "reviewed")
        assert known is not None
        session.add(
            ModelRun(
                mlflow_run_id="run", experiment="labelled-head", task="text", seed=0, dataset_id=known.id, dataset_hash="0" * 64,
                config={}, rounds=1, model_name="itrp-text-task", model_version="2",
            )
        )  # fmt: skip
    report, _, words = make(zone, tmp_path / "a.html")
    assert 0 < held.test["text"] < 10
    assert report.random_labels == held.test["text"]
    assert "One of these models has learned from half of the random labels" in words


def test_one_pair_or_one_run_may_be_chosen(zone: LabelledZone, tmp_path: Path) -> None:
    zone.label({}, text="5", run="run-2")
    newest, _, words = make(zone, tmp_path / "a.html")
    assert (newest.text_version, newest.tweets, "itrp-text-task/5" in words) == ("5", 16, True)
    assert make(zone, tmp_path / "b.html", version=("2", "3"))[0].relations["00"] == 2
    assert make(zone, tmp_path / "c.html", run="newest")[0].text_version == "5"
    assert make(zone, tmp_path / "d.html", run="run-1")[0].text_version == "2"
    with pytest.raises(NotFoundError, match="the pair 7,7 has labelled nothing of 'landing': there are 2,3; 5,3"):
        write_report(zone.platform, tmp_path / "e.html", version=("7", "7"))
    with pytest.raises(NotFoundError, match="the flow run 'none' has labelled nothing"):
        write_report(zone.platform, tmp_path / "e.html", run="none")


def test_rejected_tweets_are_told_with_their_remedy(zone: LabelledZone, tmp_path: Path) -> None:
    from flows.jobs.ingestion import ingest_landing

    zone.platform.store.put("landing/late/b.jsonl", b'{"id": "q1", "text": "words", "image": "absent.png"}\n')
    ingest_landing(zone.platform.store, zone.platform.catalog)
    report, _, words = make(zone, tmp_path / "a.html")
    assert report.quarantined == 1
    assert "(image_missing)" in words
    assert "itrp quarantine --data landing" in words


def test_nothing_labelled_yet_is_told(tmp_path: Path) -> None:
    zone = open_zone(tmp_path / "work", ["words"])
    with pytest.raises(NotFoundError, match="nothing of 'landing' is labelled yet: run itrp score"):
        write_report(zone.platform, tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_the_command(itrp: Callable[..., Any], zone: LabelledZone, tmp_path: Path) -> None:
    work = zone.platform.settings.work_dir
    done = itrp(work, "report")
    assert done.status == 0, done.err
    assert done.out.splitlines()[-1] == f"page: {work}/reports/landing-text-2-image-3.html"
    again = itrp(work, "report", "--out", tmp_path / "a.html", "--json")
    assert json.loads(again.out)["relations"]["10"] == 9
    assert itrp(work, "report", "--out", tmp_path / "a.html").status == 2
    with pytest.raises(WrongUseError, match="a file that ends in"):
        write_report(zone.platform, tmp_path / "a.pdf")
