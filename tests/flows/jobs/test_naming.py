"""Class names without labels: a page to look at, a person's word, a dual encoder."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from flows.jobs.contact_sheet import show_clusters
from flows.jobs.naming import name_by_similarity, name_by_words
from flows.jobs.prediction import run_prediction
from flows.jobs.promotion import run_promotion
from flows.jobs.seed_agreement import open_predictions
from itrp.data.pairs import Pair
from itrp.datasets.synthetic import generate_tweets
from itrp.errors import DataError, WeightsUnavailableError, WrongUseError
from itrp.labels import Task
from serving.errors import NotFoundError
from tests.poison import palette_without_colours, store_shard

if TYPE_CHECKING:
    from flows.platform import Platform
    from itrp.data.inputs import ShardFile


@pytest.fixture(scope="module")
def joint_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CLIP of random weights: what it says of a pair is noise, but always the same."""
    from itrp.baselines.stand_ins import write_clip

    return str(write_clip(tmp_path_factory.mktemp("joint"), seed=0))


@pytest.fixture(scope="module")
def four(fork: "Callable[[Path], Platform]", tmp_path_factory: pytest.TempPathFactory) -> "Platform":
    """Version 3 of both models is k-means into four clusters, without names."""
    from flows.jobs.training import run_training

    platform = fork(tmp_path_factory.mktemp("four") / "work")
    run_training(platform, "small-vanilla-kmeans", "unlabelled", ["pairs=40", "image.size=64"])
    return platform


def shards_of(platform: "Platform", data: str) -> "list[ShardFile]":
    from flows.jobs.datasets import find_data
    from serving.files import local_shards

    return local_shards(platform.store, find_data(platform.catalog, data).shards, platform.settings.cache_dir)


def test_the_page_lies_in_the_work_folder_and_at_the_run(platform: "Platform") -> None:
    report = show_clusters(platform, "itrp-text-task/1")
    clusters = open_predictions(platform).clusters(
        platform.registry.resolve("itrp-text-task/1"), shards_of(platform, "unlabelled")
    )
    assert (report.data, report.pairs, report.sizes) == ("unlabelled", 60, np.bincount(clusters, minlength=2).tolist())
    path = Path(report.file)
    assert path == platform.settings.work_dir / "naming/itrp-text-task-1-unlabelled.html"
    page = path.read_text()
    assert page.count("<article>") == sum(min(12, size) for size in report.sizes)
    assert "so far:" not in page
    assert report.answers == [
        "itrp name itrp-text-task/1 --cluster 0=represented",
        "itrp name itrp-text-task/1 --cluster 0=not-represented",
    ]
    assert all(answer in page for answer in report.answers)
    artifacts = platform.registry.client.list_artifacts(report.run_id, "naming")
    assert [each.path for each in artifacts] == ["naming/itrp-text-task-1-unlabelled.html"]
    assert str(path) in str(report)
    assert [version.version for version in platform.registry.versions(Task.TEXT)] == ["2", "1"]


def test_the_page_of_another_data_set_leaves_out_what_does_not_decode(platform: "Platform") -> None:
    image = next(iter(generate_tweets(1, seed=5))).image
    pairs = [Pair("bad", "words", palette_without_colours(), "a.png"), Pair("good", "words", image, "a.png")]
    store_shard(platform, pairs)
    report = show_clusters(platform, "image", data="landing")
    assert (report.model, report.pairs, sum(report.sizes)) == ("itrp-image-task/2", 31, 31)
    page = Path(report.file).read_text()
    assert "image of tweet bad" not in page
    assert "<dt>images not decoded</dt><dd>1</dd>" in page
    assert page.count("so far: image ") == 2
    assert report.answers[0] == "itrp name itrp-image-task/2 --cluster 0=adds --data landing"


def test_a_large_set_is_looked_at_in_part(platform: "Platform") -> None:
    seen = {
        seed: show_clusters(platform, "itrp-text-task/1", data="landing", pairs=11, seed=seed) for seed in (0, 0, 1)
    }
    assert {report.pairs for report in seen.values()} == {20}
    assert "landing, 20 of 30 pairs looked at" in Path(seen[0].file).read_text()


def test_a_person_names_a_version(platform: "Platform") -> None:
    report = name_by_words(platform, "itrp-text-task/1", {0: "represented"}, person="Ada L.", data="landing")
    assert (report.model, report.named_from, report.by) == ("itrp-text-task/3", "itrp-text-task/1", "person")
    assert report.names == {"0": "text represented", "1": "text not represented"}
    assert (report.next, report.warnings) == (["itrp promote text"], [])
    first, named = platform.registry.resolve("itrp-text-task/1"), platform.registry.resolve("itrp-text-task@challenger")
    assert (named.version, named.mapping, named.run_id) == ("3", (1, 0), first.run_id)
    assert named.tags["itrp.round"] == first.tags["itrp.round"]
    told = {name: named.tags[f"itrp.mapped_{name}"] for name in ("by", "person", "on", "from")}
    assert told == {"by": "person", "person": "Ada L.", "on": "landing", "from": "1"}
    assert pd.Timestamp(named.tags["itrp.mapped_at"]).tz is not None
    shards, predictions = shards_of(platform, "unlabelled"), open_predictions(platform)
    assert predictions.weights(named) == predictions.weights(first)
    np.testing.assert_array_equal(predictions.clusters(named, shards), predictions.clusters(first, shards))


def test_naming_again_makes_another_version_of_the_same_weights(platform: "Platform", joint_model: str) -> None:
    """Who named the former one is not told of the new one."""
    first = name_by_similarity(platform, "itrp-image-task/1", joint_model)
    again = name_by_words(platform, first.model, {1: "adds"})
    assert (first.model, again.model, again.named_from) == (
        "itrp-image-task/3", "itrp-image-task/4", "itrp-image-task/3",
    )  # fmt: skip
    tags = platform.registry.resolve(again.model).tags
    assert {name for name in tags if name.startswith("itrp.mapped_")} == {
        f"itrp.mapped_{name}" for name in ("by", "person", "at", "on", "from")
    }
    assert tags["itrp.mapped_on"] == "unlabelled"
    assert again.names == {"0": "image does not add", "1": "image adds"}


def test_one_name_for_both_is_taken_with_a_warning_that_promotion_heeds(platform: "Platform", tmp_path: Path) -> None:
    report = name_by_words(platform, "itrp-text-task/1", {0: "represented", 1: "represented"})
    (warning,) = report.warnings
    assert warning.startswith("all 2 clusters were given the name 'text represented', so every tweet gets this label")
    assert f"warning: {warning}" in str(report)
    decision = run_promotion(platform, Task.TEXT, data="labelled")
    assert not decision.promoted
    assert warning in decision.reason
    written = run_prediction(platform, report.model, "landing", tmp_path / "labels.csv")
    assert written.classes == {"text not represented": 0, "text represented": 30}
    assert set(pd.read_csv(tmp_path / "labels.csv")["probability"]) == {1.0}
    better = name_by_words(platform, report.model, {0: "represented"})
    assert not any("one-class" in name for name in platform.registry.resolve(better.model).tags)


def test_a_model_of_four_clusters_takes_a_relation_for_each(four: "Platform", tmp_path: Path) -> None:
    """Each half gets its digit; the other half's command is told until it has names too."""
    sheet = show_clusters(four, "itrp-text-task/3")
    assert (sheet.task, len(sheet.sizes), sum(sheet.sizes)) == ("image-text", 4, 60)
    typed = "--cluster 0=00 --cluster 1=01 --cluster 2=10 --cluster 3=11"
    assert sheet.answers == [f"itrp name itrp-text-task/3 {typed}"]
    with pytest.raises(WrongUseError, match="expected a name for each of 4 clusters, found none for 1, 2, 3"):
        name_by_words(four, "itrp-text-task/3", {0: "11"})
    words = {0: "11", 1: "00", 2: "10", 3: "01"}
    text = name_by_words(four, "itrp-text-task/3", words)
    assert four.registry.resolve(text.model).mapping == (1, 0, 1, 0)
    assert text.next == [
        "itrp name itrp-image-task/3 --cluster 0=11 --cluster 1=00 --cluster 2=10 --cluster 3=01 --data unlabelled",
        "itrp promote text",
    ]
    image = name_by_words(four, "itrp-image-task/3", words)
    assert four.registry.resolve(image.model).mapping == (1, 0, 0, 1)
    assert image.next == ["itrp promote image"]
    clusters = open_predictions(four).clusters(four.registry.resolve("itrp-text-task/3"), shards_of(four, "landing"))
    for reference, mapping in (("text", (1, 0, 1, 0)), ("image", (1, 0, 0, 1))):
        run_prediction(four, reference, "landing", tmp_path / f"{reference}.csv")
        read = pd.read_csv(tmp_path / f"{reference}.csv")
        assert read["label"].tolist() == [mapping[cluster] for cluster in clusters]
        assert ((read["probability"] >= 0.5) == (read["label"] == 1)).all()


def test_names_by_similarity_need_no_label(platform: "Platform", joint_model: str) -> None:
    from itrp.models.device import choose_device
    from itrp.models.dual_encoder import load_dual_encoder

    report = name_by_similarity(platform, "itrp-image-task/1", joint_model)
    shards = shards_of(platform, "unlabelled")
    first = platform.registry.resolve("itrp-image-task/1")
    clusters = open_predictions(platform).clusters(first, shards)
    cosines = load_dual_encoder(joint_model).cosines(shards, choose_device("cpu"))
    means = [float(cosines[clusters == cluster].mean()) for cluster in (0, 1)]
    named = platform.registry.resolve("itrp-image-task@challenger")
    assert named.mapping == ((0, 1) if means[0] < means[1] else (1, 0))
    spread = np.sqrt(sum(((cosines[clusters == c] - means[c]) ** 2).sum() for c in (0, 1)) / 58)
    assert report.gap == pytest.approx(abs(means[0] - means[1]) / spread, abs=1e-3)
    assert named.tags["itrp.round"] == first.tags["itrp.round"]
    told = {name: named.tags[f"itrp.mapped_{name}"] for name in ("on", "by", "with", "from", "gap")}
    assert told == {
        "on": "unlabelled", "by": "joint", "with": joint_model, "from": "1", "gap": f"{report.gap:.4f}",
    }  # fmt: skip
    assert "for the image task similarity is a guess" in report.told
    assert report.z is not None
    assert ("may be chance" in report.told) == (report.z < 2)


def test_similarity_leaves_out_what_does_not_decode(platform: "Platform", joint_model: str) -> None:
    store_shard(platform, [Pair("bad", "words", palette_without_colours(), "a.png")])
    report = name_by_similarity(platform, "text", joint_model, data="landing")
    assert report.told.endswith("; 30 pairs of landing")


def test_what_cannot_be_named_registers_nothing(platform: "Platform") -> None:
    registry = platform.registry
    registry.tag(registry.resolve("itrp-text-task/2"), {"itrp.supervised": "yes"})
    wrong: list[tuple[Callable[[], object], type[Exception], str]] = [
        (lambda: show_clusters(platform, "text"), WrongUseError, "itrp-text-task/2, which was taught by human labels"),
        (lambda: name_by_words(platform, "text", {0: "represented"}), WrongUseError, "there is nothing to name"),
        (lambda: name_by_words(platform, "itrp-text-task/1", {0: "adds"}), WrongUseError, "not-represented or represented"),
        (lambda: show_clusters(platform, "itrp-text-task/1", data="x"), NotFoundError, "no data set is called 'x'"),
        (lambda: show_clusters(platform, "itrp-text-task/9"), NotFoundError, "has the versions 1 to 2"),
        (
            lambda: name_by_similarity(platform, "itrp-text-task/1", "20"),
            WrongUseError, "itrp evaluate itrp-text-task/1 --data NAME --map-with 20",
        ),
        (
            lambda: name_by_similarity(platform, "itrp-text-task/1", "./no-such-model"),
            WeightsUnavailableError, "no-such-model",
        ),
    ]  # fmt: skip
    for do, kind, told in wrong:
        with pytest.raises(kind) as caught:
            do()
        assert told in str(caught.value)
    assert [version.version for version in registry.versions(Task.TEXT)] == ["2", "1"]


def test_an_empty_cluster_has_no_similarity(platform: "Platform", joint_model: str) -> None:
    """One pair is in one cluster."""
    from infra.catalog.queries import get_or_create_dataset

    with platform.catalog.session() as session:
        get_or_create_dataset(session, "single", "csv")
    image = next(iter(generate_tweets(1, seed=5))).image
    store_shard(platform, [Pair("one", "words", image, "a.png")], "single")
    with pytest.raises(DataError, match=r"expected pairs in each of 2 clusters .*look at them \(itrp name\)"):
        name_by_similarity(platform, "itrp-text-task/1", joint_model, data="single")


def test_an_aligned_model_is_named_only_where_it_has_no_names(platform: "Platform", tmp_path: Path) -> None:
    """One that sees too little has none: labels or a person may give it some. One with names needs nobody."""
    from flows.jobs.evaluation import run_evaluation
    from flows.jobs.training import run_training
    from itrp.models.encoder_pair import EncoderPair
    from itrp.systems import load_system
    from serving.registration import register_model

    registry = platform.registry
    trained = run_training(platform, "small-aligned", "unlabelled", ["image.size=64"])
    version = registry.resolve(trained.models[0])
    model, _ = load_system(registry.fetch(version))
    assert isinstance(model, EncoderPair)
    versions = []
    for name, mapping in (("weak", None), ("clear", (0, 1))):
        model.save(tmp_path / name, mapping, {"round": 1})
        versions.append(register_model(registry, tmp_path / name, version.run_id, Task.TEXT, tags=version.tags))
    weak, clear = map(str, versions)
    with pytest.raises(WrongUseError, match=f"{clear}, which was taught by true against shuffled pairs"):
        show_clusters(platform, clear)
    assert show_clusters(platform, weak).sizes
    named = name_by_words(platform, weak, {1: "represented"})
    assert registry.resolve(named.model).mapping == (0, 1)
    shards, predictions = shards_of(platform, "landing"), open_predictions(platform)
    found = [predictions.probabilities(registry.resolve(each), shards) for each in (named.model, clear)]
    np.testing.assert_array_equal(*found)
    (by_labels,) = run_evaluation(platform, [weak], "labelled").models
    assert sorted(registry.resolve(by_labels).mapping or ()) == [0, 1]
