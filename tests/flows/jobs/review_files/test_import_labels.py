"""People's labels from a file into the catalog."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.jobs.review_files.import_labels import import_labels
from infra.catalog.annotations import annotation_history
from infra.catalog.current_labels import current_labels, settled_labels
from itrp.errors import WrongUseError
from serving.errors import NotFoundError
from tests.flows.labelled_zone import LabelledZone, open_zone


@pytest.fixture
def zone(tmp_path: Path) -> LabelledZone:
    return open_zone(tmp_path / "work", [f"words {number}" for number in range(6)])


def write(tmp_path: Path, *rows: str, header: str = "id,text_is_represented,image_adds", name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_text("".join(f"{row}\n" for row in (header, *rows)), encoding="utf-8")
    return path


def hold(zone: LabelledZone) -> dict[tuple[str, str, str], tuple[int, str]]:
    """(id, task, person) -> (value, queue) of the labels that hold."""
    with zone.platform.catalog.session() as session:
        labels = current_labels(session, zone.asked())
    return {(each.tweet_id, each.task, each.person): (each.value, each.queue) for each in labels}


def test_rows_become_labels_once(zone: LabelledZone, tmp_path: Path) -> None:
    a, b, c, *_ = zone.ids
    path = write(tmp_path, f"{a},1,0", f"{b},yes,", f"{c},?,no", f"{a[:-2]}99,1,1", "nobody,1,", f"{b},,maybe")
    report = import_labels(zone.platform.catalog, path, person="ada")
    assert hold(zone) == {
        (a, "text", "ada"): (1, "import"), (a, "image", "ada"): (0, "import"),
        (b, "text", "ada"): (1, "import"), (c, "image", "ada"): (0, "import"),
    }  # fmt: skip
    assert (report.data, report.answers, report.labels, report.skips, report.tweets) == ("landing", 8, 4, 1, 3)
    assert (report.unknown, report.unknown_ids) == (2, [f"{a[:-2]}99", "nobody"])
    assert [row.line for row in report.bad_rows] == [7]
    assert "expected 1 or 0" in report.bad_rows[0].told
    assert "line 7: image_adds: expected 1 or 0" in str(report)
    again = import_labels(zone.platform.catalog, path, person="ada")
    assert (again.entered, again.repeated, again.unchanged, again.has_failed) == (0, 5, 0, False)
    with zone.platform.catalog.session() as session:
        history = annotation_history(session, zone.asked())
    assert Counter(row.kind for row in history) == {"label": 4, "skip": 1}
    assert {row.source for row in history} == {"a.csv"}


def test_a_file_that_was_filled_in_further_adds_what_is_new(zone: LabelledZone, tmp_path: Path) -> None:
    a, b, *_ = zone.ids
    import_labels(zone.platform.catalog, write(tmp_path, f"{a},1,", f"{b},,"), person="ada")
    report = import_labels(zone.platform.catalog, write(tmp_path, f"{a},1,0", f"{b},0,"), person="ada")
    assert (report.labels, report.unchanged) == (2, 1)
    assert hold(zone)[a, "image", "ada"] == (0, "import")


def test_of_two_rows_about_one_tweet_the_later_holds_and_is_told(zone: LabelledZone, tmp_path: Path) -> None:
    a, *_ = zone.ids
    zone.say(a, 0, None, queue="browse")
    report = import_labels(zone.platform.catalog, write(tmp_path, f"{a},1,", f"{a},0,"), person="ada")
    assert (report.labels, report.contradictions) == (2, 1)
    assert hold(zone)[a, "text", "ada"][0] == 0


def test_importing_what_was_labelled_at_random_does_not_make_it_useless(zone: LabelledZone, tmp_path: Path) -> None:
    """A label of the random queue measures; the same answer in a file without a queue leaves it as it is, and a file of the
    random queue makes a label that did not measure one that does."""
    a, b, *_ = zone.ids
    zone.say(a, 1, None)
    zone.say(b, 1, None, queue="browse")
    import_labels(zone.platform.catalog, write(tmp_path, f"{a},1,", f"{b},1,"), person="ada")
    assert {key[0]: queue for key, (_, queue) in hold(zone).items()} == {a: "random", b: "browse"}
    path = write(tmp_path, f"{b},1,random", header="id,text_is_represented,queue", name="sample.csv")
    assert import_labels(zone.platform.catalog, path, person="ada").queues == {"random": 1}
    with zone.platform.catalog.session() as session:
        assert {each.tweet_id: each.random for each in settled_labels(session, zone.asked())} == {a: True, b: True}


def test_people_may_stand_in_the_file(zone: LabelledZone, tmp_path: Path) -> None:
    a, b, *_ = zone.ids
    rows = [f"{a},1,ada", f"{a},0,bo", f"{b},1,", f"{b},0,{'x' * 65}"]
    path = write(tmp_path, *rows, header="id,image_adds,annotator")
    report = import_labels(zone.platform.catalog, path, person="cy", queue="disagree")
    assert report.people == {"ada": 1, "bo": 1, "cy": 1}
    assert [row.line for row in report.bad_rows] == [5]
    assert hold(zone)[b, "image", "cy"] == (1, "disagree")


def test_rounded_ids_are_recognised(zone: LabelledZone, tmp_path: Path) -> None:
    """What a spreadsheet has saved: digits behind the 15th are zeros."""
    rows = [f"{int(tweet_id) // 10**4 + number}0000,1,0" for number, tweet_id in enumerate(zone.ids[:4])]
    path = write(tmp_path, f"{zone.ids[5]},1,1", *rows)
    report = import_labels(zone.platform.catalog, path)
    assert (report.labels, report.unknown) == (2, 4)
    assert "no digits after the 15th but zeros (a spreadsheet's)" in report.rounded
    assert f"1294000000000000000 may be {zone.ids[0]}" in report.rounded
    with pytest.raises(NotFoundError, match=r"none of the file's 4 ids.*a spreadsheet's"):
        import_labels(zone.platform.catalog, write(tmp_path, *rows))


def test_a_data_set_is_found_by_its_ids_or_named(zone: LabelledZone, tmp_path: Path) -> None:
    path = write(tmp_path, f"{zone.ids[0]},1,0")
    with pytest.raises(NotFoundError, match="no data set is called 'tweets': there are landing"):
        import_labels(zone.platform.catalog, path, data="tweets")
    with pytest.raises(WrongUseError, match="is made of labels"):
        import_labels(zone.platform.catalog, path, data="reviewed")
    with pytest.raises(NotFoundError, match="expected answers in the file, found none"):
        import_labels(zone.platform.catalog, write(tmp_path, f"{zone.ids[0]},,"))


def test_ground_truth_of_label_studio_decides(zone: LabelledZone, tmp_path: Path) -> None:
    a, *_ = zone.ids
    result = [{"from_name": "image_adds", "type": "choices", "value": {"choices": ["Yes"]}}]
    annotations = [
        {"completed_by": {"email": "ada@x.org"}, "result": [{**result[0], "value": {"choices": ["No"]}}]},
        {"completed_by": {"email": "bo@x.org"}, "result": result, "ground_truth": True},
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"id": 1, "data": {"tweet_id": a}, "annotations": annotations}]))
    assert import_labels(zone.platform.catalog, path).decisions == 1
    with zone.platform.catalog.session() as session:
        (settled,) = settled_labels(session, zone.asked())
    assert (settled.value, settled.decided, settled.zeros) == (1, True, 1)
    assert import_labels(zone.platform.catalog, path).repeated == 2


def test_the_command_tells_what_became_of_each_row(
    itrp: Callable[..., Any], zone: LabelledZone, tmp_path: Path
) -> None:
    path = write(tmp_path, f"{zone.ids[0]},1,0", "nobody,1,0")
    work = zone.platform.settings.work_dir
    done = itrp(work, "import-labels", path, "--person", "ada", "--json")
    report = json.loads(done.out)
    assert (done.status, report["labels"], report["unknown_ids"]) == (0, 2, ["nobody"])
    assert report["columns"] == {"id": "id", "text_is_represented": "text_is_represented", "image_adds": "image_adds"}
    told = itrp(work, "import-labels", path, "--person", "ada")
    assert told.out.splitlines()[-2:] == ["2 were imported before", "1 id is not in landing: nobody"]
    wrong = itrp(work, "import-labels", path, "--column", "picture=x")
    assert (wrong.status, wrong.out) == (2, "")
    assert "expected one of id, text_is_represented" in wrong.err
