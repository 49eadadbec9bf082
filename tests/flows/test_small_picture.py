"""`itrp train small-picture`: two clusters of images without labels, named by evaluation, scoring without a text pass."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from itrp.labels import Task
from tests.scoring import find_work, pin_scorer

if TYPE_CHECKING:
    from flows.platform import Platform


def test_it_is_trained_named_and_scores(platform: "Platform", tmp_path: Path) -> None:
    from flows.jobs.evaluation import run_evaluation
    from flows.jobs.prediction import run_prediction
    from flows.jobs.training import run_training
    from serving.registry import connect_mlflow

    report = run_training(platform, "small-picture", "unlabelled", ["image.size=64"])
    assert (report.models, report.task, report.rounds) == (["itrp-image-task/3"], "image", 1)
    run = connect_mlflow(platform.settings.mlflow_uri).get_run(report.run_id)
    assert "none: the image alone decides" in run.data.tags["mlflow.note.content"]
    assert run.data.params["fusion"] == "image-root"
    sizes = [run.data.metrics[f"cluster_{number}_size"] for number in (0, 1)]
    assert sum(sizes) == 60
    assert min(sizes) > 5
    evaluated = run_evaluation(platform, ["itrp-image-task/3"], "labelled")
    assert evaluated.models == ["itrp-image-task/4"]
    for row in ("majority", "vanilla kmeans", "vanilla gmm"):
        assert row in evaluated.table
    predicted = run_prediction(platform, "itrp-image-task/4", "landing", tmp_path / "labels.parquet")
    assert (predicted.labelled, sorted(predicted.classes)) == (30, ["image adds", "image does not add"])
    for reference in ("itrp-text-task/2", "itrp-image-task/4"):
        platform.registry.set_alias(platform.registry.resolve(reference), "champion")
    scorer = pin_scorer(platform)
    labels = [scorer._labeller.label(file) for file in _local_files(platform)]
    named = [row["label"] for row in pq.read_table(tmp_path / "labels.parquet").to_pylist()]
    assert [int(each) for _, found in labels for each in found[Task.IMAGE].argmax(axis=1)] == named
    rows = [scorer.score(shard) for shard in find_work(platform.catalog, scorer.pair, backfill=False)]
    assert sum(row.pairs for row in rows) == 30


def _local_files(platform: "Platform") -> list:
    from flows.jobs.datasets import find_data
    from serving.files import local_shards

    return local_shards(platform.store, find_data(platform.catalog, "landing").shards, platform.settings.cache_dir)
