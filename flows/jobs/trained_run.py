"""A finished training run of any sort, and its registration."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from flows.jobs.datasets import KnownData
from flows.jobs.seed_agreement import SETTINGS_TAG, hash_settings
from flows.jobs.training_warnings import warning_tags
from flows.platform import Platform
from infra.settings import Settings
from itrp.baselines.supervised_model import SupervisedModel
from itrp.experiments import TrainedConfig
from itrp.inference.embeddings import EmbeddingCache
from itrp.models.device import choose_device
from itrp.models.labelled_head import LabelledHeadModel
from itrp.systems import System
from itrp.training.health import Finding
from serving.registration import register_model
from serving.registry import DATASET_TAG, ModelVersion


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """What a training run leaves: the model with the weights to be registered, and where it came from."""

    model: System
    known: KnownData
    run_id: str
    commit: str
    rounds: int
    """Rounds or epochs that were run."""
    round: int
    """The one whose weights the model holds."""
    mapping: tuple[int, ...] | None
    """Cluster -> class where it is known."""
    tags: Mapping[str, Any] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    """What is doubtful about it; written on every version it becomes."""
    notes: Sequence[str] = ()
    """What a person should know all the same: sentences."""
    discard: Callable[[], object] = lambda: None
    """Removes what the run kept for a resume alone; called after registration."""


def identify_run(config: TrainedConfig, data_hash: str) -> str:
    """Hash of configuration and data, of training that leaves no rounds to resume from."""
    return sha256(f"{config.model_dump_json()}\n{data_hash}".encode()).hexdigest()


def open_embeddings(settings: Settings, config: TrainedConfig) -> EmbeddingCache:
    """The work folder's vectors, on this machine's device."""
    return EmbeddingCache(settings.cache_dir / "embeddings", choose_device(settings.device), config.embed_batch_size)


def register_trained(platform: Platform, trained: TrainedRun) -> list[ModelVersion]:
    """Register the model as the newest version (and challenger) of each task it answers."""
    config = trained.model.config
    tags = {
        "itrp.experiment": config.name,
        "itrp.seed": config.seed,
        SETTINGS_TAG: hash_settings(config),
        DATASET_TAG: trained.known.dataset.name,
        "itrp.dataset_hash": trained.known.hash,
        "itrp.git_commit": trained.commit,
        **trained.tags,
        **warning_tags(trained.findings),
    }
    versions = []
    model = trained.model
    for task in model.tasks if isinstance(model, LabelledHeadModel) else config.tasks:
        if isinstance(model, SupervisedModel | LabelledHeadModel):
            model.answers = task
        with tempfile.TemporaryDirectory(dir=platform.settings.work_dir) as folder:
            saved = Path(folder) / "model"
            model.save(saved, mapping=trained.mapping, extra={"round": trained.round})
            versions.append(register_model(platform.registry, saved, trained.run_id, task, tags=tags))
    return versions
