"""From pairs to a trained model and from a model to labels: what a notebook needs, with a folder on the disk and nothing else."""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from itrp.alignment.config import ALIGNED_CONFIGS, AnyAlignedConfig
from itrp.baselines.config import SupervisedConfig
from itrp.baselines.provision import has_stand_ins, provide_stand_ins
from itrp.baselines.supervised_model import SupervisedModel, build_supervised_model
from itrp.baselines.supervised_training import SupervisedTrainer
from itrp.clustering.mapping import apply_mapping, best_mapping, mapped_probabilities
from itrp.config import ExperimentConfig
from itrp.data.annotations import Annotations, select_set
from itrp.data.inputs import read_texts
from itrp.data.set_aside import SetAside, read_set_aside
from itrp.datasets.pair_table import PairTable
from itrp.errors import DataError, UnmappedModelError, WrongUseError
from itrp.evaluation.protocols import Protocol, RoundPredictions
from itrp.evaluation.results import Evaluation, TaskPredictions
from itrp.evaluation.results import evaluate as evaluate_predictions
from itrp.experiments import TrainedConfig, load_experiment
from itrp.files import place_folder
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import predict_shards
from itrp.labels import CLASS_NAMES, UNLABELLED, Task
from itrp.models.device import choose_device
from itrp.models.encoder_pair import read_description
from itrp.models.head_config import LabelledHeadConfig
from itrp.models.itrp_model import build_model
from itrp.models.labelled_head import LabelledHeadModel, build_labelled_head_model
from itrp.progress import Progress, ProgressBar
from itrp.systems import System, load_system, predicted_task
from itrp.training.alignment import build_untrained, train_aligned
from itrp.training.checkpoints import OPTIMIZER_FILE, round_folder
from itrp.training.health import Finding, find_small_epochs, find_weak_rounds, taught_by
from itrp.training.labelled_head import train_labelled_head
from itrp.training.trainer import Trainer

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

MODEL_FOLDER, CHECKPOINTS_FOLDER = "model", "checkpoints"
LABEL_COLUMNS = {
    Task.TEXT: "text_is_represented",
    Task.IMAGE: "image_adds",
    Task.IMAGE_TEXT: "text_is_represented and image_adds",
}


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained system, and which class each of its clusters is."""

    system: System = field(repr=False)
    mapping: tuple[int, ...] | None
    """Cluster -> class; None where nobody has named the clusters yet (`name_clusters`)."""
    round: int
    """The checkpoint it is: a round of ITRp, an epoch of a supervised system."""

    @property
    def task(self) -> Task:
        """What its labels are about."""
        return predicted_task(self.system)

    def save(self, folder: Path | str) -> None:
        """Write what `load_model` reads into a folder that must not exist yet. Raises DataError when it does."""
        if Path(folder).exists():
            raise DataError(f"expected a new folder to save the model in, found {folder}: name another one")
        draft = Path(folder).with_name(f".{Path(folder).name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        self.system.save(draft, self.mapping, {"round": self.round})
        place_folder(draft, Path(folder))


def load_model(folder: Path | str) -> TrainedModel:
    """The model that `TrainedModel.save` or `train` wrote, or that lies in a registered version's folder. Raises DataError."""
    place = Path(folder)
    if (place / MODEL_FOLDER).is_dir():
        place = place / MODEL_FOLDER
    number = read_description(place).get("round")
    return TrainedModel(*load_system(place), number if isinstance(number, int) else 1)


def train(
    pairs: PairTable,
    experiment: TrainedConfig | str,
    folder: Path | str,
    *,
    resume: bool = False,
    device: str = "auto",
) -> TrainedModel:
    """Train an experiment on all pairs and save the model in `folder`, beside a checkpoint a round.

    ITRp and vanilla clustering look at no label, and their clusters have no names yet (`name_clusters`). An aligned model looks
    at none either and has names, where it tells true from shuffled pairs well enough. A labelled head learns from a few labels of
    the train split, and has names; of one for both tasks the text task's answers, where it has labels enough. A supervised system
    learns from the labels of the train split, keeps the epoch that is best on a part of it held out, and has names. experiment: a
    name, or what `load_experiment` gives. resume: continue where a killed run in this folder stopped (supervised training begins
    anew). device: auto, cpu, cuda, cuda:1. What is doubtful about the training is said in the log.
    Raises DataError for a folder that holds a run already, or pairs too few or without labels; WeightsUnavailableError.
    """
    config = load_experiment(experiment) if isinstance(experiment, str) else experiment
    place = Path(folder)
    if (place / MODEL_FOLDER).exists():
        raise DataError(
            f"expected a folder without a model, found one in {place}: name another folder, or read it with load_model"
        )
    with ProgressBar() as progress:
        if isinstance(config, SupervisedConfig):
            model, findings = _train_supervised(pairs, config, device, progress)
        elif isinstance(config, ALIGNED_CONFIGS):
            model, findings = _train_aligned(pairs, config, device, progress)
        elif isinstance(config, LabelledHeadConfig):
            model, findings = _train_labelled_head(pairs, config, device, progress), []
        else:
            model, findings = _train_unsupervised(pairs, config, place / CHECKPOINTS_FOLDER, resume, device, progress)
    for finding in findings:
        logger.warning("%s", finding)
    model.save(place / MODEL_FOLDER)
    # only resuming needs it, and it is twice as large as the weights
    (round_folder(place / CHECKPOINTS_FOLDER, model.round) / OPTIMIZER_FILE).unlink(missing_ok=True)
    return model


def _train_unsupervised(
    pairs: PairTable, config: ExperimentConfig, checkpoints: Path, resume: bool, device: str, progress: Progress
) -> tuple[TrainedModel, list[Finding]]:
    trainer = Trainer(
        build_model(config),
        pairs.shards,
        cache=_open_cache(pairs, config.embed_batch_size, device),
        checkpoints=checkpoints,
        progress=progress,
    )
    rounds = []
    for result in trainer.run(resume=resume):
        logger.info(
            "round %d of %d: loss %.4f, clusters %s",
            result.round,
            result.rounds,
            result.loss,
            list(result.cluster_sizes),
        )
        rounds.append(result)
    findings = find_weak_rounds(rounds, batch_size=taught_by(config))
    return TrainedModel(trainer.model.eval(), None, trainer.rounds), findings


def _train_aligned(
    pairs: PairTable, config: AnyAlignedConfig, device: str, progress: Progress
) -> tuple[TrainedModel, list[Finding]]:
    cache = _open_cache(pairs, config.embed_batch_size, device)
    model = build_untrained(config).to(cache.device)
    result = train_aligned(model, pairs.shards, cache, progress)
    return TrainedModel(model.eval(), result.mapping, 1), result.findings()


def _train_labelled_head(pairs: PairTable, config: LabelledHeadConfig, device: str, progress: Progress) -> TrainedModel:
    annotations = _require_labels(pairs, config.task)
    cache = _open_cache(pairs, config.embed_batch_size, device)
    model = build_labelled_head_model(config).to(cache.device)
    for note in train_labelled_head(model, pairs.shards, annotations, cache, progress).notes:
        logger.warning("%s", note)
    return TrainedModel(model.eval(), (0, 1), 1)


def _train_supervised(
    pairs: PairTable, config: SupervisedConfig, device: str, progress: Progress
) -> tuple[TrainedModel, list[Finding]]:
    annotations = _require_labels(pairs, config.task)
    texts = [text for shard in pairs.shards for text in read_texts(shard)]
    if has_stand_ins(config):
        logger.warning("%s: parts of it are stand-ins with random weights, its figures say nothing", config.name)
    provided = provide_stand_ins(config, pairs.folder / "stand-ins", texts)
    trainer = SupervisedTrainer(
        build_supervised_model(provided),
        pairs.shards,
        annotations,
        cache=_open_cache(pairs, config.embed_batch_size, device),
        progress=progress,
    )
    for result in trainer.run():
        logger.info("epoch %d of %d: loss %.4f", result.round, result.rounds, result.loss)
    best = trainer.keep_best()
    findings = find_small_epochs(len(trainer.train_rows), batch_size=config.batch_size)
    return TrainedModel(trainer.model.eval(), (0, 1), best.round), findings


def name_clusters(model: TrainedModel, pairs: PairTable, *, device: str = "auto") -> TrainedModel:
    """The model with the class names that fit the labels of the train split best; a few labelled rows are enough.

    The test split is not looked at, so that `evaluate` stays honest. A model that has names gets new ones; a supervised system
    and a labelled head keep their own. Raises DataError for pairs without such labels.
    """
    if isinstance(model.system, SupervisedModel | LabelledHeadModel):
        return model
    annotations = _require_labels(pairs, model.task)
    labels = np.where(annotations.split == "train", annotations.labels(model.task), UNLABELLED)
    if not (labels != UNLABELLED).any():
        raise DataError(
            f"expected rows of the train split with labels in {LABEL_COLUMNS[model.task]}, found none: label some more rows, or "
            "give the table a column split that says train for them"
        )
    clusters = _predict_clusters(model, pairs, device).argmax(axis=1)
    return replace(model, mapping=best_mapping(clusters, labels, len(CLASS_NAMES[model.task])))


def predict(model: TrainedModel, pairs: PairTable, *, device: str = "auto") -> "pd.DataFrame":
    """Labels of a table: the columns label, probability and reason, with the table's index and a row for each of its rows.

    label: 1 or 0 (the text is represented in the image, the image adds to the meaning); of a model of four classes 2*T + I.
    probability: of class 1, whatever the label is; of four classes that of the label. A row that was rejected, or whose image
    cannot be decoded, has neither, but the reason. Raises UnmappedModelError for a model whose clusters have no names.
    """
    import pandas as pd

    if model.mapping is None:
        raise UnmappedModelError(
            f"the clusters of this {model.task} model have no class names yet, and labels need them: name_clusters(model, pairs) "
            f"chooses them by a few rows with labels in {LABEL_COLUMNS[model.task]}"
        )
    named = mapped_probabilities(_predict_clusters(model, pairs, device).astype(np.float64), model.mapping, 2)
    label = np.full(len(pairs.index), UNLABELLED)
    probability = np.full(len(pairs.index), np.nan)
    label[pairs.rows] = named.argmax(axis=1)
    probability[pairs.rows] = named[:, 1] if named.shape[1] == 2 else named.max(axis=1)
    reasons: list[str | None] = [None] * len(label)
    for rejection in pairs.rejections:
        reasons[rejection.line - 1] = f"{rejection.code}: {rejection.reason}"
    for row, found in _list_set_aside(pairs):
        place = pairs.rows[row]
        label[place], probability[place], reasons[place] = UNLABELLED, np.nan, f"{found.code}: {found.reason}"
    labels = pd.array(label, dtype="Int64")
    labels[label == UNLABELLED] = pd.NA
    # an array of objects would become pandas' str, whose None is NaN
    told = pd.Series(reasons, index=pairs.index, dtype=object)
    return pd.DataFrame({"label": labels, "probability": probability, "reason": told}, index=pairs.index)


def evaluate(model: TrainedModel, pairs: PairTable, *, device: str = "auto") -> Evaluation:
    """Weighted F1, its interval and the report by class on the labelled rows of the test split.

    Without a column split each id's hash decides, one half each. A model whose clusters have no names is counted under those
    that the labels of the train split choose (`itrp.evaluation.protocols.Protocol.LAST`). `format_evaluations` of
    `itrp.evaluation.results` writes several as a table. Raises DataError for pairs without such labels.
    """
    if model.task is Task.IMAGE_TEXT and model.mapping is not None and max(model.mapping) < 2:
        raise WrongUseError(
            "expected a model and the classes of its own task, found one half of a model of four clusters, as it is registered: "
            "evaluate it with `itrp evaluate`"
        )
    annotations = _require_labels(pairs, model.task)
    clusters = _predict_clusters(model, pairs, device).argmax(axis=1)
    annotations = annotations.set_aside(np.array([row for row, _ in _list_set_aside(pairs)], dtype=np.intp))
    test, labels = select_set(annotations, model.task, "raw")
    dev = np.flatnonzero(annotations.split == "train")
    classes = clusters if model.mapping is None else apply_mapping(clusters, model.mapping)
    predictions = TaskPredictions(
        [RoundPredictions(model.round, classes[dev], classes[test])],
        annotations.labels(model.task)[dev],
        labels,
        named=model.mapping is not None,
    )
    return evaluate_predictions(Protocol.LAST, "raw", model.task, predictions, system=model.system.config.name)


def _predict_clusters(model: TrainedModel, pairs: PairTable, device: str) -> NDArray[np.float32]:
    """[n, k] cluster probabilities of the pairs."""
    cache = _open_cache(pairs, model.system.config.embed_batch_size, device)
    model.system.to(cache.device)
    return predict_shards(model.system, pairs.shards, cache)


def _open_cache(pairs: PairTable, batch_size: int, device: str) -> EmbeddingCache:
    return EmbeddingCache(_cache_folder(pairs), choose_device(device), batch_size)


def _cache_folder(pairs: PairTable) -> Path:
    return pairs.folder / "embeddings"


def _list_set_aside(pairs: PairTable) -> Iterator[tuple[int, SetAside]]:
    """Pairs whose images passed the check and could not be decoded all the same, with their numbers among the pairs."""
    start = 0
    for shard in pairs.shards:
        for found in read_set_aside(shard.hash, _cache_folder(pairs)) or ():
            yield start + found.row, found
        start += shard.pairs


def _require_labels(pairs: PairTable, task: Task) -> Annotations:
    """The pairs' labels. Raises DataError when the table has none."""
    if pairs.annotations is None:
        raise DataError(
            f"expected labels (1, 0 or nothing) in a column {LABEL_COLUMNS[task]}, found no such column: add it to the table, "
            "with labels in some rows"
        )
    return pairs.annotations
