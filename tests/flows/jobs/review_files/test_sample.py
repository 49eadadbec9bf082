"""Tweets drawn for a spreadsheet, filled in, and taken back."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.jobs.review_files.import_labels import import_labels
from flows.jobs.review_files.sample import COLUMNS, draw_sample
from infra.catalog.current_labels import current_labels
from infra.errors import ReviewError
from itrp.errors import WrongUseError
from tests.flows.labelled_zone import LabelledZone, open_zone

TEXTS = [f"words {number}" for number in range(9)] + ["=HYPERLINK(1)", "@ada\nlook <b>"]


@pytest.fixture
def zone(tmp_path: Path) -> LabelledZone:
    return open_zone(tmp_path / "work", TEXTS, width=1200)


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / "tweets.csv").open(encoding="utf-8-sig", newline="") as file:
        return [*csv.DictReader(file)]


def fill(folder: Path, answers: dict[str, tuple[str, str]]) -> Path:
    """Save the table as a spreadsheet does: semicolons, and the values of formulas."""
    path = folder / "filled.csv"
    rows = read(folder)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, delimiter=";")
        table.writeheader()
        for row in rows:
            tweet_id = row["id"].strip('="')
            text, image = answers.get(tweet_id, ("", ""))
            table.writerow({**row, "id": tweet_id, "text_is_represented": text, "image_adds": image})
    return path


def test_a_folder_holds_what_a_person_needs(zone: LabelledZone, tmp_path: Path) -> None:
    zone.label({})
    folder = tmp_path / "to label"
    report = draw_sample(zone.platform, 11, "random", folder, person="ada b")
    assert (report.tweets, report.queue, report.without_picture) == (11, "random", 0)
    assert f"itrp import-labels '{folder}/tweets.csv' --data landing --person 'ada b'" in str(report)
    assert (folder / "tweets.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    rows = read(folder)
    assert [*rows[0]] == [*COLUMNS]
    assert {row["id"] for row in rows} == {f'="{tweet_id}"' for tweet_id in zone.ids}
    assert {row["text"] for row in rows} == {*TEXTS[:9], "'=HYPERLINK(1)", "'@ada\nlook <b>"}
    assert {(row["text_is_represented"], row["image_adds"], row["queue"]) for row in rows} == {("", "", "random")}
    with Image.open(folder / rows[0]["picture"]) as image:
        assert image.size[0] == 800
    page = (folder / "tweets.html").read_text(encoding="utf-8")
    assert [f'src="{row["picture"]}"' in page for row in rows] == [True] * 11
    assert [row["nr"] for row in rows] == [str(number) for number in range(1, 12)]
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    told = (folder / "README.txt").read_text()
    assert "11 tweets of the data set landing to label" in told
    assert "drawn at random" in told
    assert "text_is_represented: Does the picture show what the text says?\n  1  " in told
    assert max(map(len, told.splitlines())) <= 130


def test_the_filled_in_table_comes_back_with_its_queue(zone: LabelledZone, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    draw_sample(zone.platform, 4, "random", first, person="ada")
    a, b, c, _ = (row["id"].strip('="') for row in read(first))
    report = import_labels(
        zone.platform.catalog, fill(first, {a: ("1", "0"), b: ("yes", ""), c: ("?", "?")}), person="ada"
    )
    assert (report.labels, report.skips, report.bad, report.queues) == (3, 2, 0, {"random": 5})
    with zone.platform.catalog.session() as session:
        labels = current_labels(session, zone.asked(), random=True)
    assert {(each.tweet_id, each.task, each.value) for each in labels} == {
        (a, "text", 1),
        (a, "image", 0),
        (b, "text", 1),
    }
    draw_sample(zone.platform, 11, "random", second, person="ada")
    assert {row["id"].strip('="') for row in read(second)} == {*zone.ids} - {a, b, c}


def test_least_certain_tweets_need_labels_of_a_model(zone: LabelledZone, tmp_path: Path) -> None:
    with pytest.raises(ReviewError):
        draw_sample(zone.platform, 2, "least-certain", tmp_path / "a")
    zone.label({zone.ids[3]: (0.51, 0.9), zone.ids[6]: (0.9, 0.45)})
    draw_sample(zone.platform, 8, "least-certain", tmp_path / "a")
    assert {row["id"].strip('="') for row in read(tmp_path / "a")} > {zone.ids[3], zone.ids[6]}
    assert {row["queue"] for row in read(tmp_path / "a")} == {"least-certain"}


def test_wrong_use_is_told_before_anything_is_written(zone: LabelledZone, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "a.txt").touch()
    with pytest.raises(WrongUseError, match="expected a new or empty folder"):
        draw_sample(zone.platform, 2, "random", folder)
    with pytest.raises(WrongUseError, match="expected 1 to 5000 tweets, found 0"):
        draw_sample(zone.platform, 0, "random", tmp_path / "new")
    for tweet_id in zone.ids:
        zone.say(tweet_id, 1, 1)
    with pytest.raises(WrongUseError, match="the queue random holds no tweet of 'landing' for ada"):
        draw_sample(zone.platform, 2, "random", tmp_path / "new", person="ada")
    assert not (tmp_path / "new").exists()


def test_the_command(itrp: Callable[..., Any], zone: LabelledZone, tmp_path: Path) -> None:
    work = zone.platform.settings.work_dir
    done = itrp(work, "sample", "3", "--out", tmp_path / "a", "--person", "ada", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["tweets"] == 3
    assert itrp(work, "sample", "3", "--out", tmp_path / "a").status == 2
