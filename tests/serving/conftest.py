"""A registered model that nobody had to train: a small experiment's network, with a head that says both yes and no."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    import pandas as pd

    from flows.platform import Platform
    from serving.registry import ModelVersion, Registry
    from serving.scorer import BatchScorer

PAIRS = 8


@dataclass(frozen=True)
class Registered:
    """Version 1 of the text task, in a registry of its own."""

    registry: "Registry"
    version: "ModelVersion"
    folder: Path
    """What the version was made from."""
    run_id: str
    rows: "pd.DataFrame"
    """Eight usable pairs: text and image (bytes). Their labels are 0 and 1, four times each."""

    @property
    def uri(self) -> str:
        return f"models:/{self.version}"


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Registered:
    import pandas as pd

    from itrp.datasets.synthetic import generate_tweets
    from itrp.labels import Task
    from serving.registration import register_model
    from serving.registry import Registry, connect_mlflow

    work = tmp_path_factory.mktemp("registered")
    tweets = list(generate_tweets(PAIRS, seed=5))
    rows = pd.DataFrame({"text": [tweet.text for tweet in tweets], "image": [tweet.image for tweet in tweets]})
    folder = work / "saved"
    _save_decided_model(folder, rows)
    registry = Registry(f"sqlite:///{work}/mlflow.db", work / "models")
    client = connect_mlflow(registry.uri)
    experiment = client.create_experiment("drawn", artifact_location=(work / "artifacts").as_uri())
    run_id = client.create_run(experiment).info.run_id
    version = register_model(registry, folder, run_id, Task.TEXT, tags={"itrp.dataset": "drawn"})
    return Registered(registry, version, folder, run_id, rows)


def _save_decided_model(folder: Path, rows: "pd.DataFrame") -> None:
    """An untrained model of small-text; its head's bias puts half of the rows on either side, far from the boundary."""
    import torch

    from itrp.experiments import find_experiment
    from itrp.inference.prediction import predict_pairs
    from itrp.models.itrp_model import build_model

    model = build_model(find_experiment("small-text"))
    weight = model.head.weight.detach().numpy()
    zeros = np.zeros(2, dtype=np.float32)
    model.set_head(weight, zeros)
    found = predict_pairs(model, rows["text"].tolist(), rows["image"].tolist(), torch.device("cpu"))
    odds = np.log(found[:, 1] / found[:, 0])
    scale = 4 / odds.std()
    model.set_head(weight * scale, np.array([0, -np.median(odds) * scale], dtype=np.float32))
    model.save(folder, mapping=(1, 0), extra={"round": 1})


@pytest.fixture
def scorer(platform: "Platform", trained: "Platform") -> "BatchScorer":
    """A scorer of its own store and catalog; the models are the session's, so that they are fetched once."""
    from tests.serving.scorers import make_scorer

    return make_scorer(platform, trained, trained.settings.cache_dir)
