"""Where the runs of a reproduction find their data, measure their cost and leave their answers."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from flows.data_sets import KnownData
from flows.platform import Platform
from itrp.answers import AnyAnswers, load_answers
from itrp.baselines.supervised_model import SupervisedModel
from itrp.cost import Cost, measure_cost
from itrp.embeddings import EmbeddingCache, choose_device
from itrp.experiments import AnyConfig
from itrp.inputs import ShardFile
from itrp.prediction import predict_pairs
from itrp.shards import iter_batches
from itrp.systems import System
from serving.assessment import LabelledSet

COST_PAIRS = 64
"""Pairs a system's cost is measured on."""


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

    def place_of(self, config: AnyConfig) -> Path:
        """The folder of a configuration's answers: named by what decides them."""
        device = self.embeddings.device.type
        parts = [config.model_dump_json(), self.unlabelled.hash, self.labelled.hash, device]
        return self.folder / "runs" / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]

    def find(self, config: AnyConfig) -> AnyAnswers | None:
        """The answers of an earlier run, None when there are none."""
        return load_answers(self.place_of(config))


def measure_system(desk: RunDesk, model: System) -> Cost:
    """Seconds and GFLOP of a thousand pairs, decoding included, nothing cached; measured once for an architecture."""
    device = desk.embeddings.device
    network = model.config.network if isinstance(model, SupervisedModel) else [model.config.text, model.config.image]
    shapes = sorted((name, list(tensor.shape)) for name, tensor in model.state_dict().items())
    return measure_once(
        desk,
        [str(type(model)), str(network), shapes],
        lambda texts, pictures: predict_pairs(model, texts, pictures, device),
    )


def measure_once(desk: RunDesk, key: object, label: Callable[[list[str], list[bytes]], object]) -> Cost:
    """The cost of labelling some pairs of the labelled set; kept under a key, because a seed changes nothing in it."""
    device = desk.embeddings.device
    digest = hashlib.sha256(json.dumps([key, device.type], default=str).encode()).hexdigest()[:20]
    kept = desk.folder / "costs" / f"{digest}.json"
    if kept.exists():
        return Cost(**json.loads(kept.read_text()))
    texts, pictures = read_pairs(desk.labelled.shards[0], COST_PAIRS)
    cost = measure_cost(lambda: label(texts, pictures), len(texts), device)
    kept.parent.mkdir(parents=True, exist_ok=True)
    draft = kept.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(cost)) + "\n")
    draft.replace(kept)
    return cost


def read_pairs(shard: ShardFile, count: int) -> tuple[list[str], list[bytes]]:
    """Texts and pictures' bytes of the first pairs of a shard."""
    texts: list[str] = []
    pictures: list[bytes] = []
    for batch in iter_batches(shard.path, ["text", "image"]):
        texts += batch.column("text").to_pylist()
        pictures += batch.column("image").field("bytes").to_pylist()
        if len(texts) >= count:
            break
    return texts[:count], pictures[:count]
