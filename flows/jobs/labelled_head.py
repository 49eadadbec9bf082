"""Training of heads from a few labels, tracked, and how they stand against the champions: no Prefect in here."""

import logging
from collections.abc import Sequence

from flows.jobs.datasets import find_data
from flows.jobs.model_predictions import open_assessor
from flows.jobs.trained_run import TrainedRun, identify_run, open_embeddings
from flows.platform import Platform
from flows.tracking.runs import TrackedData, track_run
from itrp.clustering.mapping import apply_mapping
from itrp.data.annotations import select_set
from itrp.errors import DataError
from itrp.labels import Task
from itrp.models.aligned_model import AlignedModel
from itrp.models.encoder_pair import fingerprint
from itrp.models.head_config import NEWEST, OF_ALIGNMENT, OWN, LabelledHeadConfig
from itrp.models.labelled_head import LabelledHeadModel, build_labelled_head_model
from itrp.progress import ProgressBar
from itrp.systems import load_system
from itrp.training.labelled_head import NO_LABELS_NEEDED, GivenAlignment, choose_labels, train_labelled_head
from serving.assessment import Assessor, LabelledSet, load_labelled_set
from serving.gate import decide_on_labels
from serving.registry import ALIGNED_TAG, AREA_TAG, CHAMPION, DATASET_TAG, SUPERVISED_TAG, ModelVersion, Registry

logger = logging.getLogger(__name__)


def run_labelled_head(
    platform: Platform, config: LabelledHeadConfig, data: str, *, flow_run_id: str | None
) -> TrainedRun:
    """Learn from the labels of a data set's train split, and from all its pairs without theirs. Its classes have their names.

    Raises DataError, saying what to do, for a data set without labels or with too few of them for any task, and for a model in
    `head.alignment_from` that has no alignment of the same encoders; NotFoundError for one that is not registered.
    """
    known, settings = find_data(platform.catalog, data), platform.settings
    if known.dataset.annotations_key is None:
        raise DataError(
            f"expected a data set with human labels, found none in {data!r}: label some pairs and ingest them with their labels "
            f"(itrp ingest itr, itrp ingest csv); {NO_LABELS_NEEDED}"
        )
    labelled = load_labelled_set(platform.store, platform.catalog, data, settings.cache_dir)
    choose_labels(config, labelled.annotations)  # before anything is loaded or logged
    tracked = TrackedData(data, labelled.hash, known.pairs, platform.store.url)
    identity = identify_run(config, labelled.hash)
    cache = open_embeddings(settings, config)
    with (
        track_run(settings, config, tracked, identity=identity, resume=False, flow_run_id=flow_run_id) as tracker,
        ProgressBar() as progress,
    ):
        model = build_labelled_head_model(config).to(cache.device)
        given, notes = find_alignment(platform.registry, model)
        result = train_labelled_head(model, labelled.shards, labelled.annotations, cache, progress, given)
        tracker.log_labelled_head(config, tracked, result)
    notes += result.notes
    for note in notes:
        logger.warning("%s", note)
    return TrainedRun(
        model=model.eval(),
        known=known,
        run_id=tracker.run_id,
        commit=tracker.commit,
        rounds=1,
        round=1,
        mapping=(0, 1),
        tags={
            SUPERVISED_TAG: "yes",
            **{f"itrp.labels.{task}": len(head.labels) for task, head in result.heads.items()},
            **({"itrp.alignment": given.told} if given is not None else {}),
        },
        notes=[*notes, *(describe_head(str(task), dict(head.figures())) for task, head in result.heads.items())],
    )


def find_alignment(registry: Registry, model: LabelledHeadModel) -> tuple[GivenAlignment | None, list[str]]:
    """The registered alignment that the configuration asks for, None for that of the data set's own pairs; what to know of it.

    Raises DataError where it names a model that has none of the same encoders; NotFoundError for one that is not registered.
    """
    asked = model.config.head.alignment_from
    if asked == OWN or not {*OF_ALIGNMENT} & {*model.config.head.blocks}:
        return None, []
    version = _find_aligned(registry) if asked == NEWEST else registry.resolve(asked)
    if version is None:
        return None, []
    given = _read_alignment(registry, version, model)
    if given is not None:
        return given, [
            f"a * b and z are those of {given.told}: its area of true against shuffled pairs is {given.area:.3f}"
        ]
    trouble = f"{version} has no alignment of {_name_encoders(model)}"
    if asked == NEWEST:
        return None, [f"{trouble}: a * b and z are learned from the labelled data set's own pairs"]
    raise DataError(
        f"{trouble}: name another in head.alignment_from, train one with the same text.* and image.* settings, or set it to {OWN}"
    )


def _find_aligned(registry: Registry) -> ModelVersion | None:
    """The text task's champion, or else its newest version, that is an aligned model good enough to have class names."""
    found = [registry.find(Task.TEXT, CHAMPION), *registry.versions(Task.TEXT)]
    return next((each for each in found if each is not None and each.named and ALIGNED_TAG in each.tags), None)


def _read_alignment(registry: Registry, version: ModelVersion, model: LabelledHeadModel) -> GivenAlignment | None:
    """None for a model without an alignment, and for one of other encoders' vectors."""
    if ALIGNED_TAG not in version.tags:
        return None
    aligned, _ = load_system(registry.fetch(version))
    if not isinstance(aligned, AlignedModel):  # a dual encoder compares vectors of its own
        return None
    if fingerprint(aligned.text) != fingerprint(model.text) or fingerprint(aligned.image) != fingerprint(model.image):
        return None
    told = f"{version}, learned from {version.tags.get(DATASET_TAG, 'tweets')}"
    return GivenAlignment(aligned.aligner, told, float(version.tags[AREA_TAG]))


def _name_encoders(model: LabelledHeadModel) -> str:
    config = model.config
    return f"{config.text.name} and {config.image.name} at {config.image.size} x {config.image.size}"


def describe_head(task: str, figures: dict[str, float]) -> str:
    """What cross-validation says of a head, in one line."""
    zeros, ones = figures["labels_0"], figures["labels_1"]
    return (
        f"{task}: {zeros + ones:.0f} labels ({zeros:.0f} of class 0, {ones:.0f} of class 1); cross-validated weighted F1 "
        f"{figures['cv_f1']:.3f}, AUC {figures['cv_auc']:.3f}, expected calibration error {figures['cv_ece']:.3f} (by chance "
        f"alone {figures['cv_ece_chance']:.3f})"
    )


def compare_with_champions(platform: Platform, versions: Sequence[ModelVersion], data: str) -> list[str]:
    """One line a version: how it stands against its task's champion on the held-out labels of a data set.

    The gate's own comparison, which `itrp promote` makes too; nothing is moved or written.
    """
    labelled = load_labelled_set(platform.store, platform.catalog, data, platform.settings.cache_dir)
    assessor = open_assessor(platform)
    return [_compare(platform, assessor, version, labelled) for version in versions]


def _compare(platform: Platform, assessor: Assessor, version: ModelVersion, labelled: LabelledSet) -> str:
    champion = platform.registry.find(version.task, CHAMPION)
    if champion is None or champion.mapping is None:
        return (
            f"{version.task}: no champion yet; `itrp promote {version.task}` compares it with the most frequent class"
        )
    name = str(champion) if SUPERVISED_TAG in champion.tags else f"the label-free champion {champion}"
    try:
        rows, labels = select_set(labelled.annotations, version.task, "raw")
    except DataError:
        return f"{version.task}: {labelled.name} has no labels in a test split, so whether it is better than {name} is unknown"
    assert version.mapping is not None
    own, rival = (
        apply_mapping(assessor.own_clusters(each, labelled), each.mapping or ())[rows] for each in (version, champion)
    )
    decision = decide_on_labels(labels, own, rival, rival_name=name)
    verdict = "better than" if decision.passed else "not better than"
    return f"{version.task}: {version} is {verdict} {name}: {decision.reason}"
