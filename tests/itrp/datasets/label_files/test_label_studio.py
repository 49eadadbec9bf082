"""Label Studio's JSON, there and back."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from itrp.datasets.label_files import BadRow, HumanLabel, LabelFileReader, LabelRow
from itrp.datasets.label_files.label_studio import LABELLING_CONFIG, build_task
from itrp.labels import Task

ID = "1294000000000000001"


def read(path: Path, tasks: list[dict[str, Any]]) -> list[LabelRow]:
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return [*LabelFileReader(path)]


def choose(name: str, *choices: str, **more: Any) -> dict[str, Any]:
    value = {"choices": [*choices]}
    return {"from_name": name, "to_name": "text", "type": "choices", "origin": "manual", "value": value, **more}


def test_an_export_of_label_studio_is_read(tmp_path: Path) -> None:
    """Two people, one of whom has cancelled; a prediction and a rectangle are no answers."""
    task = {
        "id": 12,
        "data": {"id": ID, "text": "words", "image": "/data/a.jpg"},
        "annotations": [
            {
                "id": 1, "completed_by": {"id": 3, "email": "ada@example.org"}, "was_cancelled": False, "lead_time": 8.5,
                "result": [
                    choose("text_is_represented", "Yes"), choose("image_adds", "image does not add"), {"type": "rectanglelabels"},
                ],
            },
            {"id": 2, "completed_by": 4, "was_cancelled": True, "result": [choose("image_adds", "Yes")]},
            {
                "id": 3, "completed_by": 5, "ground_truth": True,
                "result": [choose("image_adds", "perhaps"), choose("mood", "good")],
            },
        ],
        "predictions": [{"result": [choose("text_is_represented", "No")]}],
    }  # fmt: skip
    ada: dict[str, Any] = {"person": "ada@example.org", "seconds": 8.5}
    assert read(tmp_path / "a.json", [task]) == [
        HumanLabel(1, ID, Task.TEXT, 1, **ada),
        HumanLabel(1, ID, Task.IMAGE, 0, **ada),
        HumanLabel(1, ID, Task.TEXT, None, person="label-studio-4", place=1),
        HumanLabel(1, ID, Task.IMAGE, None, person="label-studio-4", place=1),
        BadRow(
            1,
            "annotation 3: image_adds: expected 1 or 0, yes or no, adds or does-not-add, or nothing, found 'perhaps'",
        ),
    ]


def test_controls_may_be_named_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"data": {"key": ID}, "annotations": [{"result": [choose("q1", "yes")]}]}]))
    assert [*LabelFileReader(path, {"id": "key", "image_adds": "q1"})] == [HumanLabel(1, ID, Task.IMAGE, 1)]
    (bad,) = LabelFileReader(path, {"image_adds": "q1"})
    assert bad == BadRow(1, "in the task's data: expected an id, found none")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    labels = [
        HumanLabel(1, ID, Task.TEXT, 1, "ada", "random", 3.25, "is it? <b>"),
        HumanLabel(1, ID, Task.IMAGE, 0, "ada", "random", 4.5),
        HumanLabel(1, ID, Task.TEXT, None, "bo", "browse", place=1),
        HumanLabel(1, ID, Task.IMAGE, 1, "bo", "browse", 2.0, place=2),
        HumanLabel(1, ID, Task.IMAGE, 1, "cy", "disagree", note="settled", is_decision=True, place=3),
    ]
    data = {"tweet_id": ID, "text": "words", "image": ""}
    task = build_task(data, labels, {Task.TEXT: 0.25, Task.IMAGE: 0.9}, "text-2_image-3")
    assert read(tmp_path / "a.json", [task]) == labels
    (prediction,) = task["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("text-2_image-3", 0.75)
    assert [result["value"]["choices"] for result in prediction["result"]] == [["text not represented"], ["image adds"]]


def test_choices_are_those_of_the_labelling_config() -> None:
    """Label Studio rejects a prediction whose control, object or choice its config does not know."""
    config = ElementTree.fromstring(LABELLING_CONFIG)
    objects = {each.get("name") for each in config if each.tag in ("Text", "Image")}
    known = {each.get("name"): {choice.get("value") for choice in each} for each in config.iter("Choices")}
    for chance in (0.1, 0.9):
        labels = [HumanLabel(1, ID, task, int(chance > 0.5), "ada") for task in (Task.TEXT, Task.IMAGE)]
        task = build_task({"tweet_id": ID}, labels, dict.fromkeys((Task.TEXT, Task.IMAGE), chance))
        for result in [*task["predictions"][0]["result"], *task["annotations"][0]["result"]]:
            assert {*result["value"]["choices"]} < known[result["from_name"]]
            assert result["to_name"] in objects
            assert result["to_name"] in {each.get("toName") for each in config.iter("Choices")}
    assert {each.get("value") for each in config if each.tag in ("Text", "Image")} == {"$text", "$image"}
