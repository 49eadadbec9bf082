"""One model's labels as a file: the same that evaluation and scoring count, for any data set, with no champion."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from flows.jobs.prediction import find_version, run_prediction
from itrp.data.pairs import Pair
from itrp.datasets.synthetic import generate_tweets
from itrp.errors import UnmappedModelError, WrongUseError
from itrp.labels import Task
from serving.errors import NotFoundError, NotReadyError
from tests.poison import palette_without_colours, store_shard

if TYPE_CHECKING:
    from flows.platform import Platform


def test_every_pair_has_the_label_that_evaluation_counts(trained: "Platform", tmp_path: Path) -> None:
    from flows.jobs.model_predictions import open_assessor
    from serving.assessment import load_labelled_set

    report = run_prediction(trained, "itrp-text-task/2", "labelled", tmp_path / "labels.csv")
    labelled = load_labelled_set(trained.store, trained.catalog, "labelled", trained.settings.cache_dir)
    version = trained.registry.resolve("itrp-text-task/2")
    named = open_assessor(trained).class_probabilities(version, labelled)
    read = pd.read_csv(tmp_path / "labels.csv", dtype={"id": str})
    assert read["id"].tolist() == labelled.annotations.ids.tolist()
    assert read["label"].tolist() == named.argmax(axis=1).tolist()
    np.testing.assert_allclose(read["probability"], named[:, 1], atol=1e-6)
    assert set(zip(read["label"], read["class"], strict=True)) <= {(0, "text not represented"), (1, "text represented")}
    assert read["reason"].isna().all()
    assert (report.pairs, report.labelled, report.without_label, report.alias) == (80, 80, 0, "")
    assert sum(report.classes.values()) == 80
    assert str(report).startswith("80 pairs: 80 labelled, 0 without label\nlabelled by itrp-text-task/2: ")


def test_unlabelled_data_of_several_shards_with_an_image_that_does_not_decode(
    platform: "Platform", tmp_path: Path
) -> None:
    image = next(iter(generate_tweets(1, seed=5))).image
    store_shard(
        platform,
        [Pair(f"p{row}", "words", palette_without_colours() if row == 1 else image, "a.png") for row in range(3)],
    )
    progress: list[tuple[int, int | None]] = []
    report = run_prediction(
        platform, "itrp-image-task/2", "landing", tmp_path / "labels.parquet",
        progress=lambda _, done, total: progress.append((done, total)),
    )  # fmt: skip
    rows = pq.read_table(tmp_path / "labels.parquet").to_pylist()
    assert len(rows) == 33
    assert rows[31]["id"] == "p1"
    assert [rows[31][name] for name in ("label", "class", "probability")] == [None] * 3
    assert rows[31]["reason"].startswith("image_")
    assert all(row["reason"] is None and row["label"] in (0, 1) for row in rows if row["id"] != "p1")
    (code,) = report.reasons
    assert str(report).startswith(f"33 pairs: 32 labelled, 1 without label (1 {code})\n")
    assert progress == [(0, 33), (10, 33), (20, 33), (30, 33), (33, 33)]
    with platform.catalog.session() as session:
        from infra.catalog.tables import LabelFile

        assert session.query(LabelFile).count() == 0
    assert platform.registry.find(Task.IMAGE, "champion") is None


def test_a_task_is_its_champion_before_there_is_one_its_challenger(platform: "Platform") -> None:
    registry = platform.registry
    assert [(str(version), alias) for version, alias in [find_version(platform, "text")]] == [
        ("itrp-text-task/2", "challenger")
    ]
    registry.set_alias(registry.resolve("itrp-text-task/2"), "champion")
    registry.set_alias(registry.resolve("itrp-text-task/1"), "challenger")
    version, alias = find_version(platform, "text")
    assert (str(version), alias) == ("itrp-text-task/2", "champion")
    version, alias = find_version(platform, "itrp-text-task@challenger")
    assert (str(version), alias) == ("itrp-text-task/1", "")
    registry.client.delete_registered_model("itrp-image-task")
    with pytest.raises(NotReadyError, match="itrp-image-task has no version yet; `itrp train` registers one"):
        find_version(platform, "image")


def test_what_cannot_be_written_is_refused_before_any_work(trained: "Platform", tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match="expected a file that ends in"):
        run_prediction(trained, "text", "nothing", tmp_path / "labels.txt")
    with pytest.raises(NotFoundError, match="no data set is called 'nothing': there are labelled, landing"):
        run_prediction(trained, "text", "nothing", tmp_path / "labels.csv")
    with pytest.raises(UnmappedModelError) as caught:
        run_prediction(trained, "itrp-text-task/1", "labelled", tmp_path / "labels.csv")
    assert "itrp evaluate itrp-text-task/1 --data NAME" in str(caught.value)
    assert "itrp name itrp-text-task/1 shows tweets of each cluster" in str(caught.value)
    assert [*tmp_path.iterdir()] == []
