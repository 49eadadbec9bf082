"""Agreement between seeds: which versions are compared, what it costs, and where training and monitoring leave it."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import update

from flows.jobs.seed_agreement import (
    choose_watched,
    find_other_seeds,
    find_unlabelled,
    measure_agreement,
    newest_shards,
)
from infra.catalog.tables import Dataset, Shard
from itrp.labels import Task
from serving.errors import NotFoundError
from serving.registry import ModelVersion, origin_tags

if TYPE_CHECKING:
    from flows.platform import Platform

NEXT_SEED = "itrp train small-text --data unlabelled image.size=64 subset_size=30 seed=1"


def enter_version(platform: "Platform", task: Task = Task.TEXT, **changed: object) -> ModelVersion:
    """One more version with version 1's weights, of version 1's origin but for the tags `itrp.<changed>`."""
    source = platform.registry.resolve(f"itrp-{task}-task/1")
    tags = {**origin_tags(source), **{f"itrp.{name}": str(value) for name, value in changed.items()}}
    found = platform.registry.client.create_model_version(source.name, source.source, source.run_id, tags=tags)
    return platform.registry.resolve(f"{source.name}/{found.version}")


def metrics_of(platform: "Platform", version: ModelVersion) -> dict[str, float]:
    return dict(platform.registry.client.get_run(version.run_id).data.metrics)


def clusters_of(platform: "Platform", version: ModelVersion, data: str) -> Any:
    """[n] by the model alone: no answer that was kept."""
    from flows.jobs.datasets import find_data
    from itrp.inference.embeddings import EmbeddingCache
    from itrp.inference.prediction import predict_shards
    from itrp.models.device import choose_device
    from itrp.systems import load_system
    from serving.files import local_shards

    cache = platform.settings.cache_dir
    shards = local_shards(platform.store, find_data(platform.catalog, data).shards[::-1], cache)
    model, _ = load_system(platform.registry.fetch(version))
    return predict_shards(model, shards, EmbeddingCache(cache / "embeddings", choose_device("cpu"))).argmax(axis=1)


def test_one_seed_is_told_how_to_train_another(trained: "Platform") -> None:
    found = measure_agreement(trained, trained.registry.resolve("itrp-text-task/2"))
    assert (found.agreement, found.agreement_all, found.seeds, found.pairs) == (None, None, [0], 0)
    assert (found.data, found.figures()) == ("landing", [])
    assert found.next_step == NEXT_SEED
    assert str(found) == (
        "text: small-text was trained with one seed (itrp-text-task/2), and agreement needs two: " + NEXT_SEED
    )


def test_the_newest_version_of_each_other_seed_counts(platform: "Platform") -> None:
    """Whatever its alias, and only of the same experiment, settings and data."""
    for seed in (7, 3, 7):
        enter_version(platform, seed=seed)  # 3, 4 and 5
    enter_version(platform, seed=1, settings="0" * 16)
    enter_version(platform, seed=1, experiment="paper-text")
    enter_version(platform, seed=1, dataset_hash="0" * 64)
    first, newest = platform.registry.resolve("itrp-text-task/1"), platform.registry.resolve("itrp-text-task/5")
    platform.registry.set_alias(platform.registry.resolve("itrp-text-task/3"), "champion")
    assert [each.version for each in find_other_seeds(platform, first)] == ["4", "5"]
    assert [each.version for each in find_other_seeds(platform, newest)] == ["2", "4"]
    assert choose_watched(platform, Task.TEXT).version == "3"
    assert choose_watched(platform, Task.IMAGE).version == "2"
    assert measure_agreement(platform, platform.registry.resolve("itrp-text-task/6")).next_step.endswith(" seed=0")


def test_the_same_weights_agree_on_everything(platform: "Platform") -> None:
    enter_version(platform, seed=1)
    enter_version(platform, seed=2)
    first = platform.registry.resolve("itrp-text-task/1")
    found = measure_agreement(platform, first)
    assert (found.seeds, found.models) == ([0, 1, 2], ["itrp-text-task/1", "itrp-text-task/3", "itrp-text-task/4"])
    assert (found.data, found.pairs, found.agreement, found.agreement_all) == ("landing", 30, 1.0, 1.0)
    assert found.figures() == [("seed_agreement", 1.0), ("seed_agreement_all", 1.0), ("seed_count", 3.0)]
    assert str(found) == (
        "text: 3 seeds of small-text (itrp-text-task/1, itrp-text-task/3, itrp-text-task/4) on 30 pairs of landing: "
        "mean pairwise agreement 100.0%, all agree on 100.0%"
    )
    assert measure_agreement(platform, first, "unlabelled").pairs == 60


def test_a_version_is_asked_once_about_a_shard(platform: "Platform") -> None:
    """With the predictions kept no model is fetched, and a shard that came since costs that shard. Both have the same weights."""
    enter_version(platform, seed=1)
    first = platform.registry.resolve("itrp-text-task/1")
    with platform.catalog.session() as session:  # the newest shard has not come yet
        newest = session.query(Shard).join(Dataset).filter(Dataset.name == "landing", Shard.position == 2).one()
        newest.dataset_id = session.query(Dataset).filter_by(name="unlabelled").one().id
        newest.position = 99
    predictions = platform.settings.cache_dir / "predictions"
    shutil.rmtree(predictions)
    assert measure_agreement(platform, first).pairs == 20
    assert len(list(predictions.rglob("*.npy"))) == 2
    shutil.rmtree(platform.registry.cache)
    assert measure_agreement(platform, first).pairs == 20
    assert not platform.registry.cache.exists()
    with platform.catalog.session() as session:
        landing = session.query(Dataset).filter_by(name="landing").one().id
        session.execute(update(Shard).where(Shard.position == 99).values(dataset_id=landing, position=2))
    assert measure_agreement(platform, first).pairs == 30
    assert len(list(predictions.rglob("*.npy"))) == 3


def test_whole_shards_are_looked_at_newest_first(trained: "Platform") -> None:
    known = find_unlabelled(trained, trained.registry.resolve("itrp-text-task/1"))
    hashes = [shard.hash for shard in known.shards]
    assert [shard.hash for shard in newest_shards(trained, known)] == hashes[::-1]
    assert [shard.hash for shard in newest_shards(trained, known, 29)] == hashes[:0:-1]
    assert [shard.hash for shard in newest_shards(trained, known, 3)] == hashes[-1:]


def test_before_there_are_collected_tweets_the_training_data_is_looked_at(platform: "Platform") -> None:
    version = platform.registry.resolve("itrp-text-task/1")
    with platform.catalog.session() as session:
        session.execute(update(Dataset).where(Dataset.name == "landing").values(name="elsewhere"))
    assert find_unlabelled(platform, version).dataset.name == "unlabelled"
    with pytest.raises(
        NotFoundError, match="no data set is called 'landing': there are elsewhere, labelled, unlabelled"
    ):
        measure_agreement(platform, version, "landing")


@pytest.mark.usefixtures("prefect_server")
def test_a_second_seed_is_compared_when_trained_and_watched_afterwards(
    platform: "Platform", itrp: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    from flows.jobs.training import run_training

    quickly = ["subset_size=30", "image.size=64", "batch_size=16"]
    with caplog.at_level(logging.INFO, "flows.jobs.seed_agreement"):
        report = run_training(platform, "small-text", "unlabelled", [*quickly, "seed=1"])
    first, second = (platform.registry.resolve(f"itrp-text-task/{number}") for number in (2, 3))
    assert report.models == ["itrp-text-task/3"]
    ours, theirs = clusters_of(platform, second, "landing"), clusters_of(platform, first, "landing")
    same = (ours == theirs).mean()
    expected = max(same, 1 - same)
    logged = metrics_of(platform, second)
    assert (logged["seed_agreement"], logged["seed_agreement_all"]) == (
        pytest.approx(expected),
        pytest.approx(expected),
    )
    assert logged["seed_count"] == 2
    tags = {key.removeprefix("itrp.seeds."): value for key, value in second.tags.items() if "itrp.seeds." in key}
    assert float(tags.pop("agreement")) == float(tags.pop("agreement_all")) == pytest.approx(expected, abs=1e-5)
    assert tags == {"count": "2", "pairs": "30", "data": "landing", "models": "itrp-text-task/3 itrp-text-task/2"}
    assert not any("itrp.seeds." in key for key in origin_tags(second))
    (told,) = [record.getMessage() for record in caplog.records if record.name == "flows.jobs.seed_agreement"]
    assert told == (
        "text: 2 seeds of small-text (itrp-text-task/3, itrp-text-task/2) on 30 pairs of landing: "
        f"mean pairwise agreement {expected:.1%}, all agree on {expected:.1%}"
    )

    platform.registry.set_alias(first, "champion")
    done = itrp(platform.settings.work_dir, "agreement", "--data", "unlabelled", "--json")
    assert done.status == 0
    text, image = json.loads(done.out)["agreements"]
    assert (text["models"], text["seeds"], text["pairs"]) == (["itrp-text-task/2", "itrp-text-task/3"], [0, 1], 60)
    same = (clusters_of(platform, second, "unlabelled") == clusters_of(platform, first, "unlabelled")).mean()
    assert text["agreement"] == text["agreement_all"] == pytest.approx(max(same, 1 - same))
    assert (image["task"], image["agreement"]) == ("image", None)
    assert image["next_step"] == NEXT_SEED.replace("text", "image")
    run, name = first.run_id, "watch/text/unlabelled/seed_agreement"
    (point,) = platform.registry.client.get_metric_history(run, name)
    assert point.value == pytest.approx(text["agreement"])
    assert abs(point.step * 60_000 - point.timestamp) < 120_000  # the step is the minute

    told = itrp(platform.settings.work_dir, "agreement", "image").out
    assert told == (
        "image: small-image was trained with one seed (itrp-image-task/2), and agreement needs two: "
        f"{NEXT_SEED.replace('text', 'image')}\n"
    )
    assert itrp(platform.settings.work_dir, "agreement", "--data", "x").status == 1

    platform.registry.client.delete_registered_model("itrp-text-task")
    (image,) = json.loads(itrp(platform.settings.work_dir, "agreement", "--json").out)["agreements"]
    assert image["task"] == "image"
    platform.registry.client.delete_registered_model("itrp-image-task")
    nothing = itrp(platform.settings.work_dir, "agreement")
    assert nothing.status == 1
    assert "itrp-text-task has no version yet; `itrp train` registers one" in nothing.err.splitlines()[-1]


def test_a_network_of_both_tasks_is_compared_task_by_task_and_by_class_names(
    platform: "Platform", tmp_path: Path
) -> None:
    """Nothing is aligned: two supervised models that say the opposite agree on nothing."""
    from flows.jobs.training import run_training
    from serving.assessment import Assessor, load_labelled_set

    for seed in (0, 1):
        run_training(platform, "small-cma-clip", "labelled", ["epochs=1", f"seed={seed}"])
    newest = {task: platform.registry.resolve(f"itrp-{task}-task@challenger") for task in (Task.TEXT, Task.IMAGE)}
    logged = metrics_of(platform, newest[Task.TEXT])
    assert "seed_agreement" not in logged
    labelled = load_labelled_set(platform.store, platform.catalog, "labelled", platform.settings.cache_dir)
    assessor = Assessor(platform.store, platform.registry, cache=platform.settings.cache_dir, device="cpu")
    for task, version in newest.items():
        (other,) = find_other_seeds(platform, version)
        same = clusters_of(platform, version, "landing") == clusters_of(platform, other, "landing")
        assert logged[f"{task}/seed_agreement"] == pytest.approx(same.mean())
        # the same weights under two names: each has answers of its own
        answers = assessor.own_clusters(version, labelled)
        assert answers.tolist() == clusters_of(platform, version, "labelled").tolist()
    texts, images = (assessor.own_probabilities(version, labelled) for version in newest.values())
    assert np.abs(texts - images).max() > 1e-3
