"""The five analyses on the platform's data and models: no Prefect in here."""

import hashlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flows.jobs.analysis_record import AnalysisReport, Subject, record_analysis
from flows.jobs.model_predictions import find_models, open_assessor, predict_classes
from flows.jobs.reviewed import refresh_if_reviewed
from flows.jobs.reviewed.doubts import queue_doubts
from flows.platform import Platform
from flows.tracking.provenance import find_commit
from itrp.analysis.annotators import measure_alpha, read_annotation_tables
from itrp.analysis.cases import (
    choose_examples,
    count_compared,
    find_disagreements,
    read_shown_tweets,
    render_cases,
)
from itrp.analysis.class_words import ClassWords, find_class_words, summarise_words, tabulate_words, word_figures
from itrp.analysis.clip_check import check_label_quality, tabulate_quality
from itrp.analysis.findings import Findings, format_table
from itrp.analysis.label_errors import (
    ErrorCandidates,
    rank_label_errors,
    relation_probabilities,
    tabulate_errors,
)
from itrp.analysis.plots import plot_agreement, plot_label_errors, plot_label_quality
from itrp.analysis.word_clouds import draw_word_clouds
from itrp.analysis.words import FEWEST_TWEETS, count_words
from itrp.data.inputs import ShardFile, read_texts
from itrp.errors import WrongUseError
from itrp.evaluation.annotator_agreement import Level
from itrp.labels import CLASS_NAMES, Task
from itrp.models.dual_encoder import load_dual_encoder
from serving.assessment import LabelledSet, load_labelled_set
from serving.errors import NotFoundError
from serving.registry import ModelVersion

EXAMPLES = 6
"""Cases shown of each group."""


def analyse_agreement(
    platform: Platform,
    table: Path,
    level: Level = "nominal",
    *,
    out: Path | None = None,
    flow_run_id: str | None = None,
) -> AnalysisReport:
    """Krippendorff's alpha of every task of an annotation table. Raises DataError."""
    agreements = [measure_alpha(each, level) for each in read_annotation_tables(table)]
    rows = pd.DataFrame([{**vars(each), "values": " ".join(each.values)} for each in agreements])
    findings = Findings(
        summary=format_table(rows),
        figures={
            f"alpha/{each.task}{end}": value
            for each in agreements
            for end, value in (("", each.alpha), ("/low", each.low), ("/high", each.high))
        },
        tables={"agreement.csv": rows},
        images={"agreement.png": plot_agreement(agreements)},
    )
    subject = Subject(table.stem, hashlib.sha256(table.read_bytes()).hexdigest(), settings={"level": level})
    return record_analysis(platform.settings, "agreement", subject, findings, out=out, flow_run_id=flow_run_id)


def analyse_clip(
    platform: Platform, data: str, joint: str, *, out: Path | None = None, flow_run_id: str | None = None
) -> AnalysisReport:
    """The dual encoder's cosines against the labels of a data set. Raises WeightsUnavailableError, DataError."""
    labelled = _load(platform, data)
    cosines = open_assessor(platform).cosines(load_dual_encoder(joint), labelled)
    found, notes = check_label_quality(cosines, labelled.annotations)
    rows = pd.DataFrame(tabulate_quality(found))
    findings = Findings(
        summary=format_table(rows),
        figures={
            f"{each.set.replace(' ', '_')}/{name}": value
            for each in found
            for name, value in (("spearman", each.correlation), ("p", each.p), ("n", each.n))
        },
        tables={"clip_check.csv": rows, "cosines.csv": _tabulate_cosines(labelled, cosines)},
        images={"clip_check.png": plot_label_quality(found)} if found else {},
        notes=notes,
    )
    subject = _subject(labelled, (), joint=joint)
    return record_analysis(platform.settings, "clip", subject, findings, out=out, flow_run_id=flow_run_id)


def analyse_words(
    platform: Platform,
    data: str,
    models: Sequence[str] | None = None,
    *,
    fewest_tweets: int = FEWEST_TWEETS,
    out: Path | None = None,
    flow_run_id: str | None = None,
) -> AnalysisReport:
    """Words of each class by the models' labels and by people's, on the pairs that people have labelled."""
    labelled, notes = _load(platform, data), []
    try:
        versions = find_models(platform, models)
    except NotFoundError as error:
        if models is not None:
            raise
        versions = []
        notes.append(f"human labels only: {error}")
    predictions = predict_classes(platform, versions, labelled)
    counts = count_words(_read_texts(labelled.shards))
    found: list[ClassWords] = []
    for task in (Task.TEXT, Task.IMAGE):
        model = predictions[task].argmax(axis=1) if task in predictions else None
        found += find_class_words(task, counts, labelled.annotations.labels(task), model, fewest_tweets=fewest_tweets)
    findings = Findings(
        summary=summarise_words(found),
        figures=word_figures(found),
        tables={"words.csv": tabulate_words(found)},
        images={f"words_{task}.png": _draw_words(task, found, data) for task in (Task.TEXT, Task.IMAGE)},
        notes=notes,
    )
    subject = _subject(labelled, versions, fewest_tweets=fewest_tweets)
    return record_analysis(platform.settings, "words", subject, findings, out=out, flow_run_id=flow_run_id)


def analyse_cases(
    platform: Platform,
    data: str,
    models: Sequence[str] | None = None,
    *,
    examples: int = EXAMPLES,
    out: Path | None = None,
    flow_run_id: str | None = None,
) -> AnalysisReport:
    """The test pairs on which models and people differ, as a page. Raises NotFoundError, DataError, UnmappedModelError."""
    labelled, versions = _load(platform, data), find_models(platform, models)
    predictions = predict_classes(platform, versions, labelled)
    differ = find_disagreements(predictions, labelled.annotations)
    compared = count_compared(labelled.annotations, list(predictions))
    shown = choose_examples(differ, examples)
    page = render_cases(
        differ,
        read_shown_tweets(labelled.shards, shown["row"].tolist()),
        examples=examples,
        compared=compared,
        heading={"data": data, "models": ", ".join(map(str, versions)), "code": find_commit()},
    )
    groups = differ.groupby(["task", "model_says", "human_says"], sort=False).size().reset_index(name="pairs")
    figures = {f"{task}/differ": float((differ["task"] == str(task)).sum() / pairs) for task, pairs in compared.items()}
    table = _add_texts(differ, labelled)
    findings = Findings(format_table(groups), figures, {"cases.csv": table}, pages={"cases.html": page})
    subject = _subject(labelled, versions, examples=examples)
    return record_analysis(platform.settings, "cases", subject, findings, out=out, flow_run_id=flow_run_id)


def analyse_errors(
    platform: Platform,
    data: str,
    models: Sequence[str] | None = None,
    *,
    out: Path | None = None,
    flow_run_id: str | None = None,
) -> AnalysisReport:
    """Test labels ranked by how suspect they are, beside the published corrections; those flagged wait in the queue "errors".

    Errors as for `analyse_cases`.
    """
    labelled, versions = _load(platform, data), find_models(platform, models)
    predictions = predict_classes(platform, versions, labelled)
    if len(predictions) == 2:
        predictions[Task.IMAGE_TEXT] = relation_probabilities(predictions[Task.TEXT], predictions[Task.IMAGE])
    found = {task: rank_label_errors(task, predictions[task], labelled.annotations) for task in predictions}
    rows = tabulate_errors(found)
    queued = queue_doubts(platform, data, found, [*map(str, versions)])
    notes = [
        f"{number} tweets with doubtful labels wait in the queue errors: itrp review, or itrp sample {number} --queue errors "
        f"--data {shlex.quote(name)} --out FOLDER"
        for name, number in queued.items()
    ]
    if not labelled.annotations.controversial.any():
        notes.append(
            f"the data set {data!r} has no controversial samples, so candidates are ranked but compared with nothing; "
            "ingest it with --controversial FILE to have them"
        )
    findings = Findings(
        summary=format_table(rows),
        figures={**_error_figures(found), "queued": float(sum(queued.values()))},
        tables={"label_errors_summary.csv": rows, **_error_tables(found, labelled)},
        images={"label_errors.png": plot_label_errors(found)},
        notes=notes,
    )
    return record_analysis(
        platform.settings, "errors", _subject(labelled, versions), findings, out=out, flow_run_id=flow_run_id
    )


ANALYSES: dict[str, tuple[Callable[..., AnalysisReport], tuple[str, ...]]] = {
    "agreement": (analyse_agreement, ("table", "level")),
    "clip": (analyse_clip, ("data", "joint")),
    "words": (analyse_words, ("data", "models", "fewest_tweets")),
    "cases": (analyse_cases, ("data", "models", "examples")),
    "errors": (analyse_errors, ("data", "models")),
}
"""What does each analysis, and the arguments it takes."""
REQUIRED = ("table", "data", "joint")


def run_analysis(
    platform: Platform,
    what: str,
    data: str | None = None,
    models: Sequence[str] | None = None,
    table: str | None = None,
    level: Level | None = None,
    joint: str | None = None,
    fewest_tweets: int | None = None,
    examples: int | None = None,
    out: str | None = None,
    *,
    flow_run_id: str | None = None,
) -> AnalysisReport:
    """One analysis by its name. The arguments are those of the flow `analyse-tweets`; what an analysis does not take is
    skipped. Raises WrongUseError where one it needs is missing, and what the analysis raises.
    """
    given = {
        "data": data,
        "models": models,
        "table": Path(table) if table else None,
        "level": level,
        "joint": joint,
        "fewest_tweets": fewest_tweets,
        "examples": examples,
    }
    analyse, names = ANALYSES[what]
    missing = [name for name in names if name in REQUIRED and given[name] is None]
    if missing:
        raise WrongUseError(f"analyse {what} needs {' and '.join(missing)}")
    arguments = {name: given[name] for name in names if given[name] is not None}
    return analyse(platform, **arguments, out=Path(out) if out else None, flow_run_id=flow_run_id)


def _load(platform: Platform, data: str) -> LabelledSet:
    refresh_if_reviewed(platform, data)
    return load_labelled_set(platform.store, platform.catalog, data, platform.settings.cache_dir)


def _subject(labelled: LabelledSet, versions: Sequence[ModelVersion], **settings: object) -> Subject:
    return Subject(labelled.name, labelled.hash, tuple(map(str, versions)), settings)


def _read_texts(shards: Sequence[ShardFile]) -> list[str]:
    return [text for shard in shards for text in read_texts(shard)]


def _add_texts(table: pd.DataFrame, labelled: LabelledSet) -> pd.DataFrame:
    texts = np.array(_read_texts(labelled.shards), dtype=object)
    return table.assign(text=texts[table["row"].to_numpy(np.intp)])


def _tabulate_cosines(labelled: LabelledSet, cosines: NDArray[np.float32]) -> pd.DataFrame:
    annotations = labelled.annotations
    names = np.array([*CLASS_NAMES[Task.IMAGE_TEXT], ""])  # UNLABELLED is -1: the last
    return pd.DataFrame(
        {
            "id": annotations.ids,
            "split": annotations.split,
            "relation": names[annotations.labels(Task.IMAGE_TEXT)],
            "corrected": names[annotations.labels(Task.IMAGE_TEXT, corrected=True)],
            "controversial": annotations.controversial,
            "cosine": cosines,
        }
    )


def _draw_words(task: Task, found: Sequence[ClassWords], data: str) -> Figure:
    return draw_word_clouds([each for each in found if each.task is task], f"{data}: words of the {task} task")


def _error_figures(found: Mapping[Task, ErrorCandidates]) -> dict[str, float]:
    names = ("base_rate", "average_precision", "lift", "precision", "recall", "precision_at_known")
    return {f"{task}/{name}": float(getattr(each, name)) for task, each in found.items() for name in names}


def _error_tables(found: Mapping[Task, ErrorCandidates], labelled: LabelledSet) -> dict[str, pd.DataFrame]:
    return {f"label_errors_{task}.csv": _add_texts(each.table, labelled) for task, each in found.items()}
