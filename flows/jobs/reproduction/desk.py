"""Where the runs of a reproduction find their data and leave their predictions."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flows.jobs.datasets import KnownData
from flows.platform import Platform
from itrp.experiments import AnyConfig
from itrp.inference.embeddings import EmbeddingCache
from itrp.models.device import choose_device
from itrp.reproduction.predictions import AnyPredictions, load_predictions
from serving.assessment import LabelledSet
from serving.costs import CostBook
from serving.prediction_cache import PredictionCache


@dataclass(frozen=True, eq=False)
class RunDesk:
    """The parts that all runs of a reproduction share."""

    platform: Platform
    unlabelled: KnownData
    labelled: LabelledSet
    folder: Path
    parent: str
    """The MLflow run that the runs are shown under."""

    @property
    def embeddings(self) -> EmbeddingCache:
        """The cache of frozen embeddings and pixels that all runs share, with training and scoring too."""
        settings = self.platform.settings
        return EmbeddingCache(settings.cache_dir / "embeddings", choose_device(settings.device))

    @property
    def predictions(self) -> PredictionCache:
        """Predictions of shards, shared with evaluation and scoring."""
        return PredictionCache(self.platform.settings.cache_dir)

    @property
    def costs(self) -> CostBook:
        """What systems cost, shared with `itrp evaluate`."""
        return CostBook(self.platform.settings.cache_dir / "costs", self.labelled.shards[0], self.embeddings.device)

    def place_of(self, config: AnyConfig) -> Path:
        """The folder of a configuration's predictions: named by what decides them."""
        device = self.embeddings.device.type
        parts = [config.model_dump_json(), self.unlabelled.hash, self.labelled.hash, device]
        return self.folder / "runs" / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]

    def find(self, config: AnyConfig) -> AnyPredictions | None:
        """The predictions of an earlier run, None when there are none."""
        return load_predictions(self.place_of(config))
