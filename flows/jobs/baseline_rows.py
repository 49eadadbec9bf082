"""What stands beside a model's result: the most frequent class, and k-means and GMM on the frozen features."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flows.jobs.datasets import find_data
from flows.platform import Platform
from itrp.alignment.config import AlignedConfig, DualAlignedConfig
from itrp.baselines.untrained import majority_rounds, vanilla_rounds
from itrp.clustering.pseudo_labels import Method
from itrp.config import LARGEST_SKLEARN_SEED, ClusteringConfig, ExperimentConfig
from itrp.data.annotations import select_set
from itrp.data.inputs import ShardFile
from itrp.errors import WeightsUnavailableError
from itrp.evaluation.class_mapping import SimilarityNaming
from itrp.evaluation.results import Evaluation, RoundPredictions, TaskPredictions, evaluate
from itrp.inference.dual_vectors import read_dual_vectors
from itrp.inference.embeddings import EmbeddingCache
from itrp.labels import CLASS_NAMES, Task
from itrp.models.device import Vectors, no_vectors
from itrp.models.dual_aligned_model import DualAlignedModel, load_dual_aligned_model
from itrp.models.encoder_pair import read_description
from itrp.models.head_config import LabelledHeadConfig
from itrp.models.itrp_model import ItrpModel, build_model
from itrp.systems import is_aligned, is_dual_aligned, is_labelled_head, is_supervised
from itrp.training.training_set import limit_shards
from serving.assessment import Assessor, LabelledSet
from serving.costs import CostBook
from serving.errors import NotFoundError
from serving.files import local_shards
from serving.registry import DATASET_TAG, ModelVersion

logger = logging.getLogger(__name__)

METHODS: tuple[Method, ...] = ("kmeans", "gmm")


def evaluate_baselines(
    platform: Platform,
    assessor: Assessor,
    version: ModelVersion,
    labelled: LabelledSet,
    result: Evaluation,
    costs: CostBook,
) -> list[Evaluation]:
    """Majority, vanilla k-means and vanilla GMM under the same protocol, task and set as a result.

    The clusterings are fitted on the version's training data with as many clusters as the task has classes. Without any
    label (`joint`) nobody knows the majority, and it has no row; a supervised version has no unlabelled training data.
    """
    test_rows, _ = select_set(labelled.annotations, result.task, result.set)
    rows = []
    if not isinstance(result.protocol, SimilarityNaming):
        rows = [evaluate_majority(labelled, result)]
    description = read_description(platform.registry.fetch(version))
    if is_supervised(description):
        return rows
    try:
        training = find_data(platform.catalog, version.tags[DATASET_TAG])
        config, system = _open_frozen(platform.registry.fetch(version), description)
        system.to(assessor.embeddings.device)
    except (NotFoundError, WeightsUnavailableError) as error:
        logger.warning("no vanilla clustering to compare with: %s", error)
        return rows
    train_shards = limit_shards(
        local_shards(platform.store, training.shards, platform.settings.cache_dir), config.pairs
    )
    train = _frozen_features(system, train_shards, assessor.embeddings)[: config.pairs]
    own = _frozen_features(system, labelled.shards, assessor.embeddings)
    cost = costs.of_system(system)
    for method in METHODS:
        k = len(CLASS_NAMES[result.task])
        starts = config.clustering.n_init if isinstance(config, ExperimentConfig) else 10
        n_init = starts if method == "kmeans" else 1  # as in the vanilla experiments
        seed = config.seed % LARGEST_SKLEARN_SEED
        rounds = vanilla_rounds(train, own[labelled.dev_rows], own[test_rows], method, k, seed, n_init)
        rows.append(replace(_evaluate(f"vanilla {method}", rounds, labelled, result), cost=cost))
    return rows


def _open_frozen(
    folder: Path, description: Mapping[str, Any]
) -> tuple[ExperimentConfig | DualAlignedConfig, ItrpModel | DualAlignedModel]:
    """What gives the frozen features of a version's encoders, and its configuration. Raises WeightsUnavailableError."""
    if is_dual_aligned(description):
        dual, _ = load_dual_aligned_model(folder)
        return dual.config, dual
    config = _clustering_config(description)
    return config, build_model(config)


def _clustering_config(description: Mapping[str, Any]) -> ExperimentConfig:
    """An ITRp version's own configuration; for what learns on frozen features that of clusterings of the same ones."""
    if not is_aligned(description) and not is_labelled_head(description):
        return ExperimentConfig.model_validate(description["config"])
    kind = AlignedConfig if is_aligned(description) else LabelledHeadConfig
    config = kind.model_validate(description["config"])
    return ExperimentConfig(
        name=config.name,
        task=Task(description.get("answers") or config.task),
        text=config.text,
        image=config.image,
        clustering=ClusteringConfig(n_init=10),
        pairs=config.pairs if isinstance(config, AlignedConfig) else None,
        embed_batch_size=config.embed_batch_size,
        seed=config.seed % LARGEST_SKLEARN_SEED,
    )


def evaluate_majority(labelled: LabelledSet, result: Evaluation) -> Evaluation:
    """The most frequent class, under the same protocol, task and set as a result."""
    test_rows, _ = select_set(labelled.annotations, result.task, result.set)
    return _evaluate("majority", majority_rounds(len(labelled.dev_rows), len(test_rows)), labelled, result)


def _evaluate(system: str, rounds: Sequence[RoundPredictions], labelled: LabelledSet, result: Evaluation) -> Evaluation:
    dev_labels = labelled.annotations.labels(result.task)[labelled.dev_rows]
    _, test_labels = select_set(labelled.annotations, result.task, result.set)
    predictions = TaskPredictions(rounds, dev_labels, test_labels)
    return evaluate(result.protocol, result.set, result.task, predictions, system=system)


def _frozen_features(
    model: ItrpModel | DualAlignedModel, shards: Sequence[ShardFile], cache: EmbeddingCache
) -> Vectors:
    """[n, d] fused vectors of the pretrained encoders; a dual encoder's side by side."""
    if isinstance(model, DualAlignedModel):
        return np.concatenate([np.hstack(both) for both in read_dual_vectors(model, shards, cache)])
    read = cache.text_vectors(model.text, shards) if model.reads_text else (no_vectors(each.pairs) for each in shards)
    text = np.concatenate(list(read))
    return model.fuse_vectors(text, np.concatenate(list(cache.image_vectors(model.image, shards))))
