"""Do the seeds of one experiment agree on unlabelled pairs? The label-free figure of training, promotion and monitoring."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import select

from flows.jobs.datasets import LANDING, KnownData, find_data
from flows.platform import Platform
from flows.tracking.provenance import flatten
from flows.tracking.runs import log_figures
from infra.catalog.tables import ModelRun, Shard
from itrp.clustering.agreement import mean_pairwise_agreement, unanimous_share
from itrp.data.inputs import ShardFile
from itrp.errors import WrongUseError
from itrp.experiments import AnyConfig, find_experiment
from itrp.labels import Task
from serving.errors import NotFoundError, NotReadyError
from serving.files import local_shards
from serving.prediction_cache import VersionPredictions
from serving.registry import CHALLENGER, CHAMPION, DATASET_TAG, MODEL_NAMES, SEEDS_PREFIX, ModelVersion

logger = logging.getLogger(__name__)

PREVIEW_PAIRS = 2000
"""At most so many pairs, of whole shards, are looked at without labels."""

SETTINGS_TAG = "itrp.settings"
"""Hash of a version's configuration without its seed: only runs that have it in common are seeds of one experiment."""
GROUP_TAGS = ("itrp.experiment", "itrp.dataset_hash", SETTINGS_TAG)


@dataclass(frozen=True)
class SeedAgreement:
    """How far the seeds of a version's experiment agree on a data set, clusters aligned; no label is used."""

    task: str
    experiment: str
    data: str
    models: list[str]
    """One version a seed, the one asked about first."""
    seeds: list[int]
    pairs: int
    """Pairs looked at: none where there is one seed."""
    agreement: float | None
    """Mean over all pairs of seeds of the share of tweets in the same cluster; None for one seed."""
    agreement_all: float | None
    """Share of the tweets that every seed puts into the same cluster."""
    next_step: str = ""
    """How to train another seed, where there is one."""

    def figures(self) -> list[tuple[str, float]]:
        """(name, value) to log; none for one seed."""
        if self.agreement is None or self.agreement_all is None:
            return []
        return [
            ("seed_agreement", self.agreement),
            ("seed_agreement_all", self.agreement_all),
            ("seed_count", float(len(self.seeds))),
        ]

    def __str__(self) -> str:
        """One line for people."""
        if self.agreement is None or self.agreement_all is None:
            return (
                f"{self.task}: {self.experiment} was trained with one seed ({self.models[0]}), "
                f"and agreement needs two: {self.next_step}"
            )
        return (
            f"{self.task}: {len(self.seeds)} seeds of {self.experiment} ({', '.join(self.models)}) on {self.pairs} pairs of "
            f"{self.data}: mean pairwise agreement {self.agreement:.1%}, all agree on {self.agreement_all:.1%}"
        )


def measure_agreement(platform: Platform, version: ModelVersion, data: str | None = None) -> SeedAgreement:
    """The agreement of a version with the newest version of each other seed of its experiment.

    data: name of a data set, by default `find_unlabelled`'s; its newest shards are looked at, PREVIEW_PAIRS at most.
    Predictions are kept, so only new shards and new versions cost anything. Raises NotFoundError for no such data set.
    """
    known = find_data(platform.catalog, data) if data else find_unlabelled(platform, version)
    others = find_other_seeds(platform, version)
    models = [version, *others]
    seeds = [int(model.tags["itrp.seed"]) for model in models]
    group = (str(version.task), version.tags["itrp.experiment"], known.dataset.name, [str(model) for model in models])
    if not others:
        return SeedAgreement(*group, seeds, 0, None, None, _tell_training(platform, version, seeds))
    shards = newest_shards(platform, known)
    predictions = open_predictions(platform)
    found = [predictions.probabilities(model, shards) for model in models]
    runs, k = [each.argmax(axis=1) for each in found], found[0].shape[1]
    mean, share = (measure(runs, k, named=version.named) for measure in (mean_pairwise_agreement, unanimous_share))
    return SeedAgreement(*group, seeds, len(runs[0]), mean, share)


def find_other_seeds(platform: Platform, version: ModelVersion) -> list[ModelVersion]:
    """The newest version of each other seed of the same experiment, settings and data, by seed. Aliases do not count."""
    wanted = [version.tags.get(tag) for tag in GROUP_TAGS]
    found: dict[int, ModelVersion] = {}
    for other in platform.registry.versions(version.task):
        if [other.tags.get(tag) for tag in GROUP_TAGS] == wanted and "itrp.seed" in other.tags:
            found.setdefault(int(other.tags["itrp.seed"]), other)
    found.pop(int(version.tags["itrp.seed"]), None)
    return [found[seed] for seed in sorted(found)]


def find_unlabelled(platform: Platform, version: ModelVersion) -> KnownData:
    """What is looked at without labels: the collected tweets, else the data set the version was trained on."""
    try:
        return find_data(platform.catalog, LANDING)
    except NotFoundError:
        return find_data(platform.catalog, version.tags[DATASET_TAG])


def newest_shards(platform: Platform, known: KnownData, pairs: int = PREVIEW_PAIRS) -> list[ShardFile]:
    """A data set's newest shards, of at most so many pairs (but one shard at least)."""
    chosen: list[Shard] = []
    for shard in reversed(known.shards):
        if chosen and sum(each.pairs for each in chosen) + shard.pairs > pairs:
            break
        chosen.append(shard)
    return local_shards(platform.store, chosen, platform.settings.cache_dir)


def open_predictions(platform: Platform) -> VersionPredictions:
    """With the platform's registry, cache and device."""
    return VersionPredictions(platform.registry, cache=platform.settings.cache_dir, device=platform.settings.device)


def choose_watched(platform: Platform, task: Task) -> ModelVersion:
    """The version that scores, before there is one the newest. Raises NotReadyError where nothing is registered."""
    champion = platform.registry.find(task, CHAMPION)
    try:
        return champion or platform.registry.resolve(f"{MODEL_NAMES[task]}@{CHALLENGER}")
    except NotFoundError as error:
        raise NotReadyError(str(error)) from None


def record_agreement(platform: Platform, versions: Sequence[ModelVersion]) -> list[SeedAgreement]:
    """Log the agreement of versions just trained as metrics of their run, and write it on them as tags; one seed leaves none.

    A run that answers two tasks has its metrics under each task's name.
    """
    found = [measure_agreement(platform, version) for version in versions]
    for version, each in zip(versions, found, strict=True):
        if each.agreement is None:
            continue
        prefix = f"{version.task}/" if len(versions) > 1 else ""
        log_figures(platform.settings, version.run_id, [(prefix + name, value) for name, value in each.figures()])
        told = {name.removeprefix("seed_"): f"{value:.6g}" for name, value in each.figures()}
        told |= {"pairs": str(each.pairs), "data": each.data, "models": " ".join(each.models)}
        platform.registry.tag(version, {SEEDS_PREFIX + name: value for name, value in told.items()})
        logger.info("%s", each)
    return found


def hash_settings(config: AnyConfig) -> str:
    """16 hex digits of everything that decides a run's outcome but its seed."""
    return sha256(config.model_dump_json(exclude={"seed", "embed_batch_size"}).encode()).hexdigest()[:16]


def _tell_training(platform: Platform, version: ModelVersion, seeds: Sequence[int]) -> str:
    """The command that trains the next seed with the version's settings."""
    experiment = version.tags["itrp.experiment"]
    settings = " ".join(f"{key}={value}" for key, value in _changed_settings(platform, version, experiment).items())
    seed = next(number for number in range(len(seeds) + 1) if number not in seeds)
    return f"itrp train {experiment} --data {version.tags[DATASET_TAG]} {settings} seed={seed}".replace("  ", " ")


def _changed_settings(platform: Platform, version: ModelVersion, experiment: str) -> dict[str, str]:
    """What the version's run was told to do otherwise than its experiment says, the seed left out."""
    with platform.catalog.session() as session:
        config = session.scalar(select(ModelRun.config).where(ModelRun.mlflow_run_id == version.run_id))
    try:
        usual = flatten(find_experiment(experiment).model_dump(mode="json"))
    except WrongUseError:  # an experiment of an older release
        return {}
    changed = {key: value for key, value in flatten(config or {}).items() if usual.get(key) != value and key != "seed"}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in changed.items()}
