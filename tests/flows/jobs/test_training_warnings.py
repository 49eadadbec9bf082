"""Training that taught nothing says so: on the console, in the report, and on every version it becomes."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flows.jobs.training_warnings import find_partner, read_training_warnings, tags_until, warning_tags
from itrp.labels import Task
from itrp.training.health import Finding

if TYPE_CHECKING:
    from flows.platform import Platform

PREFIX = "itrp.warning."
FEW = Finding("few-pairs", "few", "more", 3)


def test_tags_name_the_finding_and_its_round() -> None:
    assert warning_tags([FEW, Finding("same-answers", "same", "else")]) == {
        "itrp.warning.few-pairs.round-3": "few; more",
        "itrp.warning.same-answers": "same; else",
    }


@pytest.mark.parametrize(("number", "kept"), [(2, False), (3, True), (4, True)])
def test_an_earlier_checkpoint_knows_nothing_of_a_later_round(number: int, kept: bool) -> None:
    tags = {**warning_tags([FEW]), "itrp.experiment": "small-text"}
    assert tags_until(tags, number) == (tags if kept else {"itrp.experiment": "small-text"})


def test_a_trained_version_carries_its_warnings_through_naming(built: Any) -> None:
    """Rounds of 30 pairs, under-sampled, are fewer than two batches of 16."""
    import mlflow

    (warning,) = built.trained["text"].warnings
    assert warning.startswith("round 1 of 2 ")
    for number in (1, 2):  # as trained, and with class names
        version = built.platform.registry.resolve(f"itrp-text-task/{number}")
        assert read_training_warnings(version) == {"few-pairs": warning}
        assert version.tags["itrp.warning.few-pairs.round-1"] == warning
    card = mlflow.artifacts.load_text(f"runs:/{built.trained['text'].run_id}/model_card.md")
    assert f"| warnings | {warning} |" in card


def test_the_partner_is_the_champion_or_the_newest(platform: "Platform") -> None:
    registry = platform.registry
    text = registry.resolve("itrp-text-task/2")
    assert str(find_partner(platform.registry, text)) == "itrp-image-task/2"
    registry.set_alias(registry.resolve("itrp-image-task/1"), "champion")
    assert str(find_partner(platform.registry, text)) == "itrp-image-task/1"
    registry.client.delete_registered_model("itrp-image-task")
    assert find_partner(platform.registry, text) is None


@pytest.fixture
def nearly_equal(platform: "Platform", built: Any, tmp_path: Path) -> "Callable[[int, int], str]":
    """`nearly_equal(copies, others)`: a data set of one tweet so many times over, and some others; returns its name."""
    from flows.jobs.ingestion import ingest_folder
    from itrp.datasets.twitter100k import Twitter100kFolder

    def make(copies: int, others: int) -> str:
        source, folder = built.drawn / "unlabelled", tmp_path / "tweets"
        texts = (source / "text.txt").read_text().splitlines()
        (folder / "images").mkdir(parents=True)
        numbers = [1] * copies + list(range(2, 2 + others))
        for place, number in enumerate(numbers, start=1):
            shutil.copy(source / f"images/{number}.jpg", folder / f"images/{place}.jpg")
        (folder / "text.txt").write_text("".join(f"{texts[number - 1]}\n" for number in numbers))
        ingest_folder(platform.store, platform.catalog, "few", Twitter100kFolder(folder))
        return "few"

    return make


@pytest.mark.parametrize(("copies", "sizes"), [(59, "59, 1"), (2, "2, 1")])
def test_a_model_that_saw_two_pairs_says_so(
    platform: "Platform",
    nearly_equal: "Callable[[int, int], str]",
    caplog: pytest.LogCaptureFixture,
    copies: int,
    sizes: str,
) -> None:
    from flows.jobs.training import run_training

    with caplog.at_level(logging.WARNING):
        report = run_training(platform, "small-text", nearly_equal(copies, 1), ["image.size=64"])
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [warning for warning in report.warnings if warning not in told] == []
    few, small = report.warnings[:2]
    assert few.startswith("round 1 of 1 trained on 2 pairs, [1, 1] of its clusters, expected at least 2 batches of 16")
    assert (
        f"clusters of [{sizes}] pairs" in small or f"clusters of [{', '.join(sizes.split(', ')[::-1])}] pairs" in small
    )
    tags = platform.registry.resolve(report.models[0]).tags
    assert {tags[PREFIX + "few-pairs.round-1"], tags[PREFIX + "small-cluster.round-1"]} == {few, small}


def test_two_tasks_with_one_answer_are_told_of_after_training(
    platform: "Platform", tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The image task's newest version has the text task's weights; a resumed registration of those compares them."""
    from flows.jobs.training_warnings import warn_of_same_answers
    from itrp.models.itrp_model import load_model
    from serving.registration import register_model
    from serving.registry import origin_tags

    text = platform.registry.resolve("itrp-text-task/2")
    model, _ = load_model(platform.registry.fetch(text))
    model.save(tmp_path / "model", mapping=text.mapping, extra={"round": 2})
    copy = register_model(platform.registry, tmp_path / "model", text.run_id, Task.IMAGE, tags=origin_tags(text))
    with caplog.at_level(logging.WARNING):
        (finding,) = warn_of_same_answers(platform, [copy])
    assert finding.sentence.startswith(f"itrp-text-task/2 and {copy} put 30 of 30 pairs of landing (100.0%, by chance ")
    assert str(finding) in [record.getMessage() for record in caplog.records]
    assert platform.registry.resolve(str(copy)).tags["itrp.warning.same-answers"] == str(finding)


def test_a_partner_that_is_gone_stops_nothing(
    platform: "Platform", tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from flows.jobs.training_warnings import warn_of_same_answers

    image = platform.registry.resolve("itrp-image-task/2")
    shutil.rmtree(platform.registry.folder_of(image))
    platform.registry.folder_of(image).mkdir()  # fetched, and lost since
    with caplog.at_level(logging.WARNING):
        assert warn_of_same_answers(platform, [platform.registry.resolve("itrp-text-task/2")]) == []
    assert "whether text and image model predict the same is unknown (" in caplog.text
