"""Labelled tweets as files, and Label Studio's there and back."""

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from flows.jobs.review_files.export import export_labels
from flows.jobs.review_files.export_rows import EXPORT_SCHEMA, ExportFilter
from flows.jobs.review_files.import_labels import import_labels
from flows.jobs.review_files.pictures import PictureFolder
from infra.catalog.annotations import NewAnnotation, record_annotations, withdraw
from infra.catalog.current_labels import current_labels, settled_labels
from infra.catalog.review_tables import Kind
from itrp.errors import WrongUseError
from serving.errors import NotFoundError
from tests.flows.labelled_zone import LabelledZone, open_zone

TEXTS = [
    "plain",
    'quotes " and, commas',
    "two\nlines",
    "=1+1",
    "<script>alert(1)</script>",
    "\u202eright to left \U0001f600",
]


@pytest.fixture
def zone(tmp_path: Path) -> LabelledZone:
    """Six tweets; the second and third are certain, the last one is set aside; two people have labelled the first."""
    zone = open_zone(tmp_path / "work", TEXTS, width=900)
    zone.label({zone.ids[1]: (0.1, 0.95), zone.ids[2]: (0.6, 0.7)}, aside=[zone.ids[5]])
    zone.say(zone.ids[0], 1, 1)
    zone.say(zone.ids[0], 1, 0, "bo", queue="browse")
    zone.say(zone.ids[2], 0, None, "bo", queue="browse")
    return zone


def export(zone: LabelledZone, path: Path, chosen: ExportFilter | None = None, **options: Any) -> list[dict[str, Any]]:
    export_labels(zone.platform, path, chosen or ExportFilter(), **options)
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return [*csv.DictReader(file)]
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return (
        pq.read_table(path).to_pylist() if path.suffix == ".parquet" else json.loads(path.read_text(encoding="utf-8"))
    )


def test_labels_texts_and_people_stand_in_one_row(zone: LabelledZone, tmp_path: Path) -> None:
    path = tmp_path / "out" / "a.jsonl"
    report = export_labels(zone.platform, path)
    assert (report.tweets, report.relations, report.without_label) == (6, {"00": 0, "01": 1, "10": 3, "11": 1}, 1)
    assert (report.human, report.data) == (2, "landing")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == zone.ids
    assert [row["text"] for row in rows] == TEXTS
    first, second, third, last = rows[0], rows[1], rows[2], rows[5]
    assert (first["created_at"], first["lang"], first["data"]) == ("2026-11-01T12:00:00Z", "en", "landing")
    assert (first["human_text_is_represented"], first["human_text_people"], first["human_text_random"]) == (1, 2, True)
    assert (first["human_image_adds"], first["human_relation"], first["human_image_people"]) == (None, None, 0)
    assert (second["relation"], second["image_adds_probability"], second["text_version"]) == ("01", 0.95, "2")
    assert (third["human_text_is_represented"], third["human_text_random"]) == (0, False)
    assert (last["relation"], last["without_label"], last["created_at"]) == (
        None,
        "image_damaged: expected an image",
        None,
    )
    assert (first["picture"], first["image_path"]) == (None, f"{zone.ids[0]}.jpg")


def test_every_form_says_the_same(zone: LabelledZone, tmp_path: Path) -> None:
    lines = export(zone, tmp_path / "a.jsonl")
    table = export(zone, tmp_path / "a.parquet")
    assert pq.read_schema(tmp_path / "a.parquet").names == EXPORT_SCHEMA.names
    assert table[0]["created_at"] == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert [{**row, "created_at": None} for row in table] == [{**row, "created_at": None} for row in lines]
    cells = export(zone, tmp_path / "a.csv")
    assert [row["text"] for row in cells] == TEXTS
    for row, line in zip(cells, lines, strict=True):
        written = {
            name: "" if value is None else str(int(value) if value in (True, False) else value)
            for name, value in line.items()
        }
        assert row == written


def test_only_what_is_asked_for_is_written(zone: LabelledZone, tmp_path: Path) -> None:
    zone.label({zone.ids[0]: (0.2, 0.2)}, text="4")
    ids = zone.ids

    def chosen(name: str, **asked: Any) -> list[str]:
        return [row["id"] for row in export(zone, tmp_path / f"{name}.jsonl", ExportFilter(**asked))]

    assert chosen("since", since=datetime(2026, 11, 4, tzinfo=UTC)) == ids[3:5]
    assert chosen("relation", relations=("00",)) == ids[:1]
    assert chosen("version", version=("2", "3"), relations=("01", "11")) == ids[1:3]
    assert chosen("human", human_only=True) == [ids[0], ids[2]]
    newest = export(zone, tmp_path / "newest.jsonl")
    assert {row["text_version"] for row in newest} == {"4"}
    with pytest.raises(NotFoundError, match="the pair 9,9 has labelled nothing of 'landing': there are 2,3; 4,3"):
        chosen("none", version=("9", "9"))


def test_pictures_are_written_beside(zone: LabelledZone, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "pictures"
    rows = export(zone, tmp_path / "out" / "a.csv", pictures=PictureFolder(folder, 320))
    assert [row["picture"] for row in rows] == [f"pictures/{tweet_id}.jpg" for tweet_id in zone.ids]
    with Image.open(folder / f"{zone.ids[0]}.jpg") as image:
        assert image.size[0] == 320
    export(zone, tmp_path / "b.csv", pictures=PictureFolder(tmp_path / "whole", 0))
    stored = zone.platform.store.get(f"landing/day/{zone.ids[3]}.jpg")
    assert (tmp_path / "whole" / f"{zone.ids[3]}.jpg").read_bytes() == stored


def test_nothing_is_left_of_a_file_that_was_not_finished(zone: LabelledZone, tmp_path: Path) -> None:
    last = zone.platform.store.local_path(zone.shards()[-1].key)
    assert last is not None
    last.unlink()
    with pytest.raises(Exception, match="shards/"):
        export(zone, tmp_path / "out" / "a.csv")
    assert [*(tmp_path / "out").iterdir()] == []


@pytest.mark.parametrize(
    ("name", "form", "told"),
    [
        ("a.xlsx", None, "ends in .csv, .jsonl, .parquet"),
        ("a.json", None, "--format label-studio"),
        ("a.csv", "label-studio", ".json"),
    ],
)
def test_other_files_are_refused(zone: LabelledZone, tmp_path: Path, name: str, form: str | None, told: str) -> None:
    with pytest.raises(WrongUseError, match=told):
        export_labels(zone.platform, tmp_path / name, form=form)


def said(zone: LabelledZone) -> tuple[set[Any], set[Any]]:
    """Labels that hold, with everything a file may keep of them; and what the tweets are taken to be."""
    with zone.platform.catalog.session() as session:
        labels, settled = current_labels(session, zone.asked()), settled_labels(session, zone.asked())
    held = {(*each[2:6], each.random, each.seconds, each.note, each.guideline) for each in labels}
    return held, {each[1:] for each in settled}


def test_label_studio_there_and_back_loses_nothing(zone: LabelledZone, tmp_path: Path) -> None:
    """Labels by three people, a skip, a withdrawn label, a decision, notes, seconds, queues and guidelines."""
    a, b, c, d, *_ = zone.ids
    zone.say(a, 0, 0, "cy", seconds=3.25, note='a "note" <b>', guideline="2025-01")
    zone.say(b, 1, None, "cy", queue="least-certain")
    zone.say(b, None, None, "cy")
    zone.say(c, 1, 0, "cy", kind=Kind.DECISION, queue="disagree", note="both looked again", token="decided")
    zone.say(d, 1, 1, "bo")
    dataset = zone.dataset_id
    with zone.platform.catalog.session() as session:
        withdraw(session, dataset, d, "bo", token="back", guideline="2026-11", tasks=["image"])
        skip = {"dataset_id": dataset, "tweet_id": d, "value": None, "queue": "random", "guideline": "2026-11"}
        record_annotations(session, [NewAnnotation(task="text", kind="skip", person="ada", token="skip", **skip)])
    path = tmp_path / "tasks.json"
    tasks = export(zone, path, form="label-studio")
    assert [task["data"]["tweet_id"] for task in tasks] == zone.ids
    assert tasks[0]["data"]["image"].startswith("data:image/jpeg;base64,")
    assert [prediction["model_version"] for prediction in tasks[1]["predictions"]] == ["text-2_image-3"]
    assert tasks[5]["predictions"] == []
    assert "<Choices" in (tmp_path / "tasks.config.xml").read_text()
    other = open_zone(tmp_path / "other", TEXTS)
    report = import_labels(other.platform.catalog, path)
    assert (report.bad, report.unknown, report.skips, report.decisions) == (0, 0, 1, 2)
    assert said(other) == said(zone)
    again = tmp_path / "again.json"
    export_labels(other.platform, again, form="label-studio")
    second = json.loads(again.read_text(encoding="utf-8"))
    assert [task["annotations"] for task in second] == [task["annotations"] for task in tasks]
    home = import_labels(zone.platform.catalog, path)
    assert (home.entered, home.unchanged) == (0, home.answers)


def test_an_export_that_comes_home_makes_up_no_person(zone: LabelledZone, tmp_path: Path) -> None:
    """Settled labels are nobody's answers; one that somebody has changed in the table is hers."""
    rows = export(zone, tmp_path / "a.csv")
    home = import_labels(zone.platform.catalog, tmp_path / "a.csv", person="cy")
    assert (home.answers, home.unchanged, home.entered) == (2, 2, 0)
    rows[2]["human_text_is_represented"] = "1"
    with (tmp_path / "b.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, EXPORT_SCHEMA.names)
        table.writeheader()
        table.writerows(rows)
    changed = import_labels(zone.platform.catalog, tmp_path / "b.csv", person="cy")
    assert (changed.entered, changed.unchanged, changed.people) == (1, 1, {"cy": 1})


def test_label_studio_serves_pictures_from_a_folder(zone: LabelledZone, tmp_path: Path) -> None:
    pictures = PictureFolder(tmp_path / "pictures", 320)
    tasks = export(zone, tmp_path / "tasks.json", ExportFilter(human_only=True), form="label-studio", pictures=pictures)
    assert [task["data"]["image"] for task in tasks] == [
        f"/data/local-files/?d=pictures/{tweet_id}.jpg" for tweet_id in (zone.ids[0], zone.ids[2])
    ]


def test_the_command(itrp: Callable[..., Any], zone: LabelledZone, tmp_path: Path) -> None:
    work, out = zone.platform.settings.work_dir, tmp_path / "a.csv"
    done = itrp(work, "export", "--out", out, "--relation", "10", "--relation", "11", "--since", "2026-11-01")
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        f"4 tweets of landing written to {out}",
        "models: 0 00, 0 01, 3 10, 1 11, 0 without label; people: 2 with a label",
    ]
    refused = itrp(work, "export", "--out", out)
    assert (refused.status, "--overwrite" in refused.err) == (2, True)
    again = itrp(work, "export", "--out", out, "--overwrite", "--version", "2,3", "--json")
    assert json.loads(again.out)["tweets"] == 6
    assert itrp(work, "export").status == 2
    assert itrp(tmp_path / "nowhere", "export", "--label-studio-config").out.startswith("<View>")
