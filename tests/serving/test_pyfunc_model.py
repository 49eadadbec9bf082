"""A registered model as any MLflow user meets it: signature, vocabulary, files, and its answers in a bare process."""

import json
import os
import pickletools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq
import pytest

from infra.catalog.queries import list_shards

if TYPE_CHECKING:
    from flows.platform import Platform

LOAD = """
import json, sys
import mlflow, pandas as pd
from itrp.errors import UnmappedModelError
rows = pd.read_parquet(sys.argv[1]).set_axis([7, 3, 5])
for name in ("itrp-text-task@challenger", "itrp-image-task@challenger"):
    answers = mlflow.pyfunc.load_model(f"models:/{name}").predict(rows)
    print(json.dumps({"columns": list(answers.columns), "types": [str(kind) for kind in answers.dtypes],
                      "index": answers.index.tolist(), "rows": answers.values.tolist()}))
try:
    mlflow.pyfunc.load_model("models:/itrp-text-task/1").predict(rows)
except UnmappedModelError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def rows(trained: "Platform") -> pd.DataFrame:
    """Text and picture of the first three landed tweets."""
    with trained.catalog.session() as session:
        shard = list_shards(session, "landing")[0]
    table = pq.read_table(trained.store.local_path(shard.key)).slice(0, 3).to_pylist()
    return pd.DataFrame({"text": [row["text"] for row in table], "image": [row["image"]["bytes"] for row in table]})


@pytest.mark.e2e
def test_a_bare_process_gets_the_predictors_answers(trained: "Platform", rows: pd.DataFrame, tmp_path: Path) -> None:
    from serving.predictor import Predictor

    rows.to_parquet(tmp_path / "rows.parquet")
    empty = tmp_path / "empty"
    empty.mkdir()
    # both: connecting to another registry in this process has set both
    environment = {**os.environ, **dict.fromkeys(("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"), trained.registry.uri)}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, tmp_path / "rows.parquet"],
        cwd=empty, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *answers, told = done.stdout.splitlines()
    for task, line in zip(("text", "image"), answers, strict=True):
        folder = trained.registry.fetch(trained.registry.resolve(f"itrp-{task}-task@challenger"))
        expected = Predictor.load(folder, "cpu").predict(rows["text"].tolist(), rows["image"].tolist())
        answer = json.loads(line)
        assert answer["columns"] == ["label", "probability", "reason"]
        assert answer["types"] == ["int64", "float64", "object"]
        assert answer["index"] == [7, 3, 5]
        assert [row[0] for row in answer["rows"]] == expected.argmax(axis=1).tolist()
        assert [row[1] for row in answer["rows"]] == pytest.approx(expected[:, 1].tolist(), abs=1e-6)
        assert all((row[1] > 0.5) == (row[0] == 1) and row[2] is None for row in answer["rows"])
    assert told.startswith("this text model knows clusters but not yet which class each one is; name them with human ")
    assert "itrp evaluate MODEL@challenger --data NAME" in told
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    ("task", "classes"),
    [
        ("text", {"0": "text not represented", "1": "text represented"}),
        ("image", {"0": "image does not add", "1": "image adds"}),
    ],
)
def test_signature_and_vocabulary(trained: "Platform", task: str, classes: dict[str, str]) -> None:
    import mlflow

    info = mlflow.models.get_model_info(trained.registry.resolve(f"itrp-{task}-task/2").source)
    # rows are judged one by one by our own checks, so MLflow enforces nothing before them (serving.model_input)
    assert info.signature.inputs is None
    assert [(column.name, column.type.name) for column in info.signature.outputs] == [
        ("label", "long"),
        ("probability", "double"),
        ("reason", "string"),
    ]
    assert info.metadata["inputs"].keys() == {"text", "image"}
    assert info.metadata["outputs"]["probability"] == (
        f"of class 1 ({classes['1']}), whatever the label is, as in label files"
    )
    assert info.metadata["classes"] == classes
    assert info.metadata["task"] == task
    assert info.metadata["relations"]["10"] == "text represented, image does not add"
    assert info.metadata["itrp.dataset"] == "unlabelled"
    assert info.saved_input_example_info is not None


def test_weights_are_safetensors_and_nothing_is_pickled(trained: "Platform") -> None:
    work = trained.settings.work_dir
    files = [path for place in ("mlflow-artifacts", "objects") for path in (work / place).rglob("*") if path.is_file()]
    weights = [path for path in files if path.suffix == ".safetensors" and "mlflow-artifacts" in str(path)]
    assert len(weights) >= 4  # two versions of two models, and what other tests of this session registered
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".pth", ".pt", ".bin", ".joblib")]
    assert not [path for path in files if is_pickle(path)]


def is_pickle(path: Path) -> bool:
    """Is the file, whatever its name, a pickle of protocol 2 or later, or a zip as torch.save makes it?"""
    with path.open("rb") as file:
        start = file.read(2)
    if start[:1] != b"\x80":
        return start == b"PK"
    try:
        return bool(list(pickletools.genops(path.read_bytes())))
    except ValueError:
        return False
