"""Registered models' predictions on a labelled data set."""

import dataclasses
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from infra.catalog.queries import dataset_hash, get_dataset
from itrp.data.annotations import select_set
from itrp.errors import DataError
from itrp.labels import Task
from serving.assessment import Assessor, LabelledSet, load_labelled_set, own_round
from serving.errors import NotFoundError

if TYPE_CHECKING:
    from flows.platform import Platform


def load(platform: "Platform", name: str = "labelled") -> LabelledSet:
    return load_labelled_set(platform.store, platform.catalog, name, platform.settings.cache_dir)


def assess(platform: "Platform") -> Assessor:
    return Assessor(platform.store, platform.registry, cache=platform.settings.cache_dir, device="cpu")


def test_a_labelled_set_is_in_the_order_of_its_shards(trained: "Platform") -> None:
    from itrp.data.inputs import read_ids

    labelled = load(trained)
    assert [identity for shard in labelled.shards for identity in read_ids(shard)] == labelled.annotations.ids.tolist()
    assert len(labelled.annotations) == 80
    assert labelled.dev_rows.tolist() == list(range(64))
    with trained.catalog.session() as session:
        dataset = get_dataset(session, "labelled")
        assert dataset is not None
        assert labelled.hash == dataset_hash(session, dataset)


def test_unknown_and_unlabelled_sets_are_told(trained: "Platform") -> None:
    with pytest.raises(NotFoundError, match="no data set is called 'nope': ingest it first; `itrp doctor` "):
        load(trained, "nope")
    with pytest.raises(DataError) as caught:
        load(trained, "unlabelled")
    assert str(caught.value) == (
        "the data set 'unlabelled' has no human labels: evaluation needs one ingested with `itrp ingest itr`"
    )


@pytest.mark.parametrize("set_name", ["raw", "RM", "RL"])
@pytest.mark.parametrize("task", [Task.TEXT, Task.IMAGE])
def test_predictions_stand_beside_their_labels(trained: "Platform", task: Task, set_name: str) -> None:
    labelled, assessor = load(trained), assess(trained)
    version = trained.registry.resolve(f"itrp-{task}-task/1")
    assert assessor.rounds_of(version) == [1, 2]
    predictions = assessor.task_predictions(version, labelled, set_name, [1, 2])
    rows, labels = select_set(labelled.annotations, task, set_name)
    assert [each.round for each in predictions.rounds] == [1, 2]
    assert predictions.test_labels.tolist() == labels.tolist()
    assert predictions.dev_labels.tolist() == labelled.annotations.labels(task)[:64].tolist()
    clusters = assessor.clusters_by_round(version, labelled, [1, 2])
    for each in predictions.rounds:
        assert each.dev.tolist() == clusters[each.round][:64].tolist()
        assert each.test.tolist() == clusters[each.round][rows].tolist()


def test_both_tasks_are_asked_about_the_same_pairs(trained: "Platform") -> None:
    labelled, assessor = load(trained), assess(trained)
    version = trained.registry.resolve("itrp-text-task/1")
    together = assessor.task_predictions(version, labelled, "RM", [1], on=Task.IMAGE_TEXT)
    rows, _ = select_set(labelled.annotations, Task.IMAGE_TEXT, "RM")
    assert together.test_labels.tolist() == labelled.annotations.text[rows].tolist()


def test_the_versions_weights_are_its_rounds(trained: "Platform") -> None:
    """Version 2 is a round of version 1's run: its own predictions are that checkpoint's."""
    labelled, assessor = load(trained), assess(trained)
    first, second = (trained.registry.resolve(f"itrp-image-task/{number}") for number in (1, 2))
    assert own_round(first) == 2
    for version in (first, second):
        number = own_round(version)
        by_round = assessor.clusters_by_round(version, labelled, [number])[number]
        assert assessor.own_clusters(version, labelled).tolist() == by_round.tolist()


def test_predictions_are_computed_once(platform: "Platform") -> None:
    """With its predictions on disk, a version's model is not even fetched."""
    labelled = load(platform)
    version = platform.registry.resolve("itrp-text-task/1")
    expected = assess(platform).clusters_by_round(version, labelled, [1, 2])
    platform.registry.client.delete_registered_model("itrp-text-task")
    shutil.rmtree(platform.registry.cache)
    again = assess(platform).clusters_by_round(version, labelled, [1, 2])
    assert {number: clusters.tolist() for number, clusters in again.items()} == {
        number: clusters.tolist() for number, clusters in expected.items()
    }
    assert not np.array_equal(expected[1], 1 - expected[1])


def test_predictions_are_of_shards_whatever_set_they_are_in(platform: "Platform") -> None:
    """A data set of the same shards with other annotations has the same predictions; another shard has others."""
    labelled, assessor = load(platform), assess(platform)
    version = platform.registry.resolve("itrp-image-task/1")
    expected = assessor.clusters_by_round(version, labelled, [1])[1].tolist()
    predictions = platform.settings.cache_dir / "predictions"
    before = {*predictions.rglob("*.npy")}
    same = LabelledSet(labelled.name, "0" * 64, labelled.shards, labelled.annotations)
    assert assessor.clusters_by_round(version, same, [1])[1].tolist() == expected
    assert {*predictions.rglob("*.npy")} == before
    shards = [dataclasses.replace(shard, hash=shard.hash[::-1]) for shard in labelled.shards]
    other = LabelledSet(labelled.name, labelled.hash, shards, labelled.annotations)
    assert assessor.clusters_by_round(version, other, [1])[1].tolist() == expected
    assert {path.stem for path in {*predictions.rglob("*.npy")} - before} == {shard.hash for shard in shards}


def test_a_removed_checkpoint_is_told(platform: "Platform") -> None:
    version = platform.registry.resolve("itrp-text-task/1")
    prefix = version.tags["itrp.checkpoints"]
    platform.store.delete([info.key for info in platform.store.list(f"{prefix}round-0001/")])
    assessor = assess(platform)
    assert assessor.rounds_of(version) == [2]
    with pytest.raises(
        NotFoundError, match=r"round-0001/\S+ of itrp-text-task/1 is missing from the store: train again"
    ):
        assessor.tuned_file(version, 1)
    platform.store.delete([info.key for info in platform.store.list(prefix)])
    assert assessor.rounds_of(version) == [2]  # the version's own round
