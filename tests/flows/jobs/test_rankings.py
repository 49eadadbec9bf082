"""AUC and, on rated pairs, the correlation with the ratings beside the F1: reported, logged, printed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from flows.jobs.evaluation import run_evaluation
from serving.assessment import LabelledSet, load_labelled_set
from serving.registry import connect_mlflow
from tests.itrp.datasets.caption_files import write_captions

if TYPE_CHECKING:
    from flows.platform import Platform

TEXT, IMAGE = "itrp-text-task/2", "itrp-image-task/2"


def load(platform: "Platform", name: str) -> LabelledSet:
    return load_labelled_set(platform.store, platform.catalog, name, platform.settings.cache_dir)


def predict(platform: "Platform", reference: str, labelled: LabelledSet) -> Any:
    from flows.jobs.model_predictions import open_assessor

    return open_assessor(platform).class_probabilities(platform.registry.resolve(reference), labelled)[:, 1]


@pytest.mark.parametrize("reference", [TEXT, IMAGE])
def test_the_area_is_that_of_the_test_rows(platform: "Platform", reference: str) -> None:
    report = run_evaluation(platform, [reference], "labelled")
    (row,) = report.rankings
    labelled = load(platform, "labelled")
    labels = labelled.annotations.text if reference == TEXT else labelled.annotations.image
    area = roc_auc_score(labels[64:], predict(platform, reference, labelled)[64:])
    assert row["value"] == pytest.approx(area)
    assert (row["system"], row["task"], row["measure"], row["n"]) == (reference, report.task, "auc", 16)
    assert row["low"] <= row["value"] <= row["high"]
    assert f"{area:.3f}" in report.ranking_table
    run = connect_mlflow(platform.settings.mlflow_uri).get_run(platform.registry.resolve(reference).run_id)
    logged = {name: run.data.metrics[f"{report.task}/test_raw/dev/auc{name}"] for name in ("", "_low", "_high")}
    assert list(logged.values()) == [row["value"], row["low"], row["high"]]
    assert run.data.metrics[f"{report.task}/test_raw/dev/f1"] == report.f1


def test_two_models_have_an_area_each(platform: "Platform") -> None:
    report = run_evaluation(platform, [TEXT, IMAGE], "labelled", set_name="RL")
    assert [(row["system"], row["task"], row["n"]) for row in report.rankings] == [
        (TEXT, "text", 16), (IMAGE, "image", 16),
    ]  # fmt: skip
    labelled = load(platform, "labelled")
    area = roc_auc_score(labelled.annotations.corrected_text[64:], predict(platform, TEXT, labelled)[64:])
    assert report.rankings[0]["value"] == pytest.approx(area)
    run = connect_mlflow(platform.settings.mlflow_uri).get_run(platform.registry.resolve(TEXT).run_id)
    assert run.data.metrics["image-text/test_RL/dev/text_auc"] == pytest.approx(area)


def test_a_model_without_class_names_has_no_probability_of_a_class(platform: "Platform") -> None:
    report = run_evaluation(platform, ["itrp-text-task/1"], "labelled", protocol="oracle")
    (row,) = report.rankings
    assert (row["system"], row["value"], row["low"], row["n"]) == ("itrp-text-task/1", None, None, 16)
    assert report.ranking_table.splitlines()[1].split() == ["itrp-text-task/1", "text", "AUC", "-", "-", "16"]
    named = run_evaluation(platform, ["itrp-text-task/1"], "labelled")
    assert [row["system"] for row in named.rankings] == named.models
    assert named.rankings[0]["value"] is not None


@pytest.fixture
def rated(platform: "Platform", tmp_path: Path) -> "Platform":
    """A data set of 40 pairs on 20 images: three people who agree with the truth, more or less."""
    from flows.jobs.ingestion import ingest_folder
    from itrp.datasets.rated_captions import RatedCaptions
    from itrp.datasets.synthetic import generate_tweets

    rng = np.random.default_rng(1)
    tweets = list(generate_tweets(40, 3, jpeg_only=True, margins="matched"))
    names = {image: f"{number}.jpg" for number, image in enumerate(dict.fromkeys(tweet.image for tweet in tweets))}
    rows = [
        (names[tweet.image], tweet.text, *(1 + 2 * tweet.text_is_represented + rng.integers(0, 2, 3)))
        for tweet in tweets
    ]
    columns = ("image", "text", "rating_1", "rating_2", "rating_3")
    images = {f"images/{name}": image for image, name in names.items()}
    folder = write_captions(tmp_path / "rated", columns, rows, images)
    report = ingest_folder(platform.store, platform.catalog, "rated", RatedCaptions(folder))
    assert report.pairs == 40
    return platform


def test_rated_pairs_have_a_correlation_too(rated: "Platform", itrp: Callable[..., Any]) -> None:
    report = run_evaluation(rated, [TEXT], "rated")
    labelled = load(rated, "rated")
    test = labelled.annotations.split == "test"
    assert 0 < report.n == test.sum() < 40
    area, correlation = report.rankings
    found = predict(rated, TEXT, labelled)[test]
    assert (area["measure"], area["n"]) == ("auc", report.n)
    assert area["value"] == pytest.approx(roc_auc_score(labelled.annotations.text[test], found))
    assert (correlation["measure"], correlation["n"]) == ("spearman", report.n)
    assert correlation["value"] == pytest.approx(spearmanr(labelled.annotations.rating[test], found)[0])
    run = connect_mlflow(rated.settings.mlflow_uri).get_run(rated.registry.resolve(TEXT).run_id)
    assert run.data.metrics["text/test_raw/dev/spearman"] == correlation["value"]

    told = itrp(rated.settings.work_dir, "evaluate", TEXT, "--data", "rated")
    assert told.status == 0, told.err
    assert report.table in told.out
    assert report.ranking_table in told.out
    assert "Spearman with ratings" in told.out
    written = json.loads(itrp(rated.settings.work_dir, "evaluate", TEXT, "--data", "rated", "--json").out)
    assert written["rankings"] == report.rankings
    assert written["f1"] == report.f1
    assert "ranking_table" not in written
