"""Registered versions against human labels, and the class names they get."""

from typing import TYPE_CHECKING, Any

import pytest

from flows.jobs.evaluation import run_evaluation
from itrp.errors import DataError, WrongUseError
from itrp.labels import Task
from serving.errors import NotFoundError

if TYPE_CHECKING:
    from flows.platform import Platform

BOTH = ["itrp-text-task/2", "itrp-image-task/2"]


def numbers(platform: "Platform", task: Task) -> list[str]:
    return [version.version for version in platform.registry.versions(task)]


@pytest.mark.parametrize("task", ["text", "image"])
def test_dev_gave_class_names_once(built: Any, task: str) -> None:
    report, registry = built.evaluated[task], built.platform.registry
    assert (report.task, report.set, report.protocol, report.n) == (task, "raw", "dev", 16)
    assert report.models == [f"itrp-{task}-task/2"]
    named = registry.resolve(f"itrp-{task}-task/2")
    assert sorted(named.mapping) == [0, 1]
    assert named.tags["itrp.round"] == str(report.round)
    assert str(registry.resolve(f"itrp-{task}-task@challenger")) == str(named)


def test_a_mapped_version_is_evaluated_as_it_is(platform: "Platform", built: Any) -> None:
    """The challenger again: nothing is registered, and the figures are the same."""
    again = run_evaluation(platform, ["itrp-image-task@challenger"], "labelled")
    first = built.evaluated["image"]
    assert again.models == ["itrp-image-task/2"]
    assert numbers(platform, Task.IMAGE) == ["2", "1"]
    assert (again.f1, again.low, again.high, again.round) == (first.f1, first.low, first.high, first.round)


@pytest.mark.parametrize("task", ["text", "image"])
def test_figures_lie_in_their_intervals(built: Any, task: str) -> None:
    report = built.evaluated[task]
    assert [row["system"] for row in report.rows] == [
        f"itrp-{task}-task/1", "majority", "vanilla kmeans", "vanilla gmm",
    ]  # fmt: skip
    for row in report.rows:
        assert 0 <= row["low"] <= row["f1"] <= row["high"] <= 1
        assert row["system"] in report.table
    assert (report.f1, report.low, report.high) == tuple(report.rows[0][name] for name in ("f1", "low", "high"))


def test_figures_by_hand(built: Any) -> None:
    """The F1 of the report is that of version 2's labels, counted without our evaluation."""
    from sklearn.metrics import accuracy_score, f1_score

    from serving.assessment import Assessor, load_labelled_set

    platform = built.platform
    labelled = load_labelled_set(platform.store, platform.catalog, "labelled", platform.settings.cache_dir)
    version = platform.registry.resolve("itrp-text-task/2")
    assessor = Assessor(platform.store, platform.registry, cache=platform.settings.cache_dir, device="cpu")
    classes = [version.mapping[cluster] for cluster in assessor.own_clusters(version, labelled)]
    truth = labelled.annotations.text.tolist()
    assert built.evaluated["text"].f1 == pytest.approx(f1_score(truth[64:], classes[64:], average="weighted"))
    assert built.evaluated["text"].accuracy == pytest.approx(accuracy_score(truth[64:], classes[64:]))
    # class names were chosen on the train split: the other way round is no better there
    assert accuracy_score(truth[:64], classes[:64]) >= 0.5


def test_oracle_is_an_upper_bound_and_registers_nothing(platform: "Platform", built: Any) -> None:
    report = run_evaluation(platform, ["itrp-image-task/1"], "labelled", protocol="oracle")
    assert (report.protocol, report.models) == ("oracle", ["itrp-image-task/1"])
    assert numbers(platform, Task.IMAGE) == ["2", "1"]
    assert platform.registry.resolve("itrp-image-task@challenger").version == "2"
    assert report.f1 >= built.evaluated["image"].f1


def test_last_takes_the_last_round(platform: "Platform") -> None:
    report = run_evaluation(platform, ["itrp-image-task/1"], "labelled", protocol="last")
    assert (report.round, report.models) == (2, ["itrp-image-task/3"])
    named = platform.registry.resolve("itrp-image-task@challenger")
    assert (named.version, named.tags["itrp.round"], named.tags["itrp.mapped_from"]) == ("3", "2", "1")


@pytest.mark.parametrize("set_name", ["RM", "RL"])
def test_corrected_sets(platform: "Platform", set_name: str) -> None:
    report = run_evaluation(platform, BOTH[:1], "labelled", set_name=set_name)
    # round(16 * 218 / 895) = 4 of the 16 test pairs are controversial
    assert (report.set, report.n) == (set_name, {"RM": 12, "RL": 16}[set_name])


def test_two_models_answer_for_the_relation(platform: "Platform") -> None:
    report = run_evaluation(platform, BOTH[::-1], "labelled")
    assert (report.task, report.n) == ("image-text", 16)
    assert sorted(report.models) == sorted(BOTH)
    assert report.rows[0]["system"] == "itrp-text-task/2 + itrp-image-task/2"
    assert report.low <= report.f1 <= report.high


def test_two_unmapped_models_both_get_their_names(platform: "Platform") -> None:
    report = run_evaluation(platform, ["itrp-image-task/1", "itrp-text-task/1"], "labelled")
    assert sorted(report.models) == ["itrp-image-task/3", "itrp-text-task/3"]
    for task in (Task.TEXT, Task.IMAGE):
        third, second = (platform.registry.resolve(f"itrp-{task}-task/{number}") for number in (3, 2))
        assert (third.mapping, third.tags["itrp.round"]) == (second.mapping, second.tags["itrp.round"])


@pytest.mark.parametrize(
    "references", [["itrp-text-task/1", "itrp-text-task/2"], [*BOTH, "itrp-text-task/1"]], ids=["same task", "three"]
)
def test_other_combinations_are_wrong_use(trained: "Platform", references: list[str]) -> None:
    with pytest.raises(WrongUseError) as caught:
        run_evaluation(trained, references, "labelled")
    assert str(caught.value) == (
        f"expected one model, or a text and an image model together, found {', '.join(references)}"
    )


def test_data_without_labels_are_told(trained: "Platform") -> None:
    with pytest.raises(DataError, match="the data set 'landing' has no human labels: evaluation needs one ingested "):
        run_evaluation(trained, BOTH[:1], "landing")
    with pytest.raises(NotFoundError, match="no data set is called 'nope'"):
        run_evaluation(trained, BOTH[:1], "nope")


def test_without_the_training_data_no_clustering_stands_beside_it(platform: "Platform") -> None:
    """The data set a version learned from can be gone: the result still stands beside the majority."""
    version = platform.registry.resolve("itrp-text-task/2")
    platform.registry.tag(version, {"itrp.dataset": "gone"})
    report = run_evaluation(platform, BOTH[:1], "labelled")
    assert [row["system"] for row in report.rows] == ["itrp-text-task/2", "majority"]
