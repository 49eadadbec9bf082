"""`itrp demo`: synthetic tweets through the same flows as real ones, from nothing to labels, in a few minutes."""

import csv
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from infra.settings import Settings, load_settings
from itrp.errors import WrongUseError
from itrp.labels import RELATIONS
from serving.registry import CHALLENGER

if TYPE_CHECKING:
    from flows.jobs.evaluation import EvaluateReport
    from serving.scorer import ScoreReport

MARKER = ".itrp-demo"
"""A folder with this file was made by the demo, and may be emptied by it."""

UNLABELLED_PAIRS = 2000
LABELLED_PAIRS = 500
SHARD_PAIRS = 500
"""ITRp learns from the first of them, the alignment from all."""
NEW_TWEETS = 200
ITRP_OVERRIDES = ["pairs=600", "subset_size=200", "head_optimizer.learning_rate=3e-4"]
"""Three rounds; and a head that learns slowly, with which 19 of 100 tweets are answered apart by the two models, not 5."""
ALIGNED_OVERRIDES = ["image.size=128"]
"""The pixels that ITRp's models read: the frozen vectors of both ways are the same."""


@dataclass(frozen=True)
class DemoReport:
    """What the demo found: figures for machines, text for people."""

    figures: dict[str, Any]
    text: str


def prepare_demo(folder: str) -> None:
    """Empty the demo's folder and point the settings at it: the demo never touches a real work folder.

    Raises WrongUseError for a folder with something else in it.
    """
    path = Path(folder).absolute()
    if path.exists() and any(path.iterdir()):
        if not (path / MARKER).exists():
            raise WrongUseError(f"{path} holds files the demo did not make: give another folder with --folder")
        shutil.rmtree(path)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    (path / MARKER).touch()
    for name in ("OBJECT_STORE_URL", "OBJECT_STORE_ACCESS_KEY", "OBJECT_STORE_SECRET_KEY", "CATALOG_URL", "MLFLOW_URI"):
        os.environ.pop(f"ITRP_{name}", None)
    os.environ["ITRP_WORK_DIR"] = str(path)
    # on 200 tweets a quicker arithmetic saves less than finding out whether it keeps their labels
    os.environ.setdefault("ITRP_PRECISION", "fp32")


def run_demo(folder: str, seed: int) -> DemoReport:
    """The whole chain: draw, ingest, train, evaluate, promote, drop new tweets, score, compare with the truth.

    First the paper's way; then the text task by alignment, and what it says of the same new tweets.
    """
    from flows.evaluate import evaluate_itrp
    from flows.ingest import ingest_tweets
    from flows.pipeline import itrp_pipeline
    from flows.promote import promote_models
    from flows.score import score_tweets
    from flows.train import train_itrp

    path = Path(folder).absolute()
    drawn = draw_tweets(path / "tweets", seed)
    ingest_tweets("twitter100k", str(drawn / "unlabelled"), "unlabelled", shard_pairs=SHARD_PAIRS)
    labelled = drawn / "labelled"
    ingest_tweets(
        "itr", str(labelled / "labels.csv"), "labelled", str(labelled), str(labelled / "controversial_samples.txt")
    )
    pipeline = itrp_pipeline("unlabelled", "labelled", set_name="RL", overrides=ITRP_OVERRIDES)
    settings = load_settings()
    drop_in_landing(drawn / "new", settings)
    scored = score_tweets()
    again = score_tweets()
    truth = drawn / "new" / "truth.csv"
    by_itrp = compare_with_truth(settings, scored, truth)
    trained = train_itrp("small-aligned", "unlabelled", ALIGNED_OVERRIDES)
    aligned = evaluate_itrp([f"{trained.model}@{CHALLENGER}"], "labelled", set_name="RL")
    (promoted,) = promote_models("text", "labelled", "RL")
    by_aligned = compare_with_truth(settings, scored, truth, predict_new(settings, aligned.models[0], path))
    figures = {
        "trained": [model for each in pipeline.trained for model in each.models],
        "evaluations": [{"task": each.task, "models": each.models, "rows": each.rows} for each in pipeline.evaluated],
        "promoted": {each.task: each.promoted for each in pipeline.promoted},
        "scored": {
            "pairs": scored.pairs,
            "shards": scored.shards,
            "counts": scored.counts,
            "second_run_pairs": again.pairs,
            "models": [scored.text_version, scored.image_version],
        },
        "agreement_with_truth": by_itrp,
        "aligned": {
            "rows": aligned.rows,
            "warnings": trained.warnings,
            "promoted": promoted.promoted,
            "reason": promoted.reason,
            "agreement_with_truth": by_aligned,
        },
        "folder": str(path),
    }
    return DemoReport(figures, _describe(figures, pipeline.evaluated, aligned, settings))


def draw_tweets(folder: Path, seed: int) -> Path:
    """Three sets with different seeds: unlabelled for training, labelled for class names and the gate, new for scoring."""
    from itrp.datasets.synthetic import write_itr_layout, write_landing_layout, write_twitter100k_layout

    write_twitter100k_layout(folder / "unlabelled", UNLABELLED_PAIRS, seed)
    write_itr_layout(folder / "labelled", LABELLED_PAIRS, seed + 1)
    write_landing_layout(folder / "new", NEW_TWEETS, seed + 2)
    return folder


def drop_in_landing(folder: Path, settings: Settings) -> None:
    """Do what a collector does: put the images, and last of all the JSONL file, into the object store."""
    from flows.platform import open_platform

    store = open_platform(settings).store
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".csv"]
    for path in sorted(files, key=lambda path: path.suffix == ".jsonl"):
        store.put(f"landing/{path.relative_to(folder).as_posix()}", path)


def predict_new(settings: Settings, model: str, folder: Path) -> dict[str, int]:
    """Tweet id -> a model's label of the new tweets, by way of the file that `itrp predict` writes."""
    from flows.jobs.datasets import LANDING
    from flows.jobs.prediction import run_prediction
    from flows.platform import open_platform

    out = folder / "aligned-labels.csv"
    run_prediction(open_platform(settings), model, LANDING, out)
    with out.open(newline="", encoding="utf-8") as file:
        return {row["id"]: int(row["label"]) for row in csv.DictReader(file)}


def compare_with_truth(
    settings: Settings, scored: "ScoreReport", truth_file: Path, text_labels: Mapping[str, int] | None = None
) -> dict[str, float]:
    """Share of the tweets whose label, by the pair of models of a scoring run, is the true one, by task.

    Every tweet must have exactly one label of this pair. text_labels: another model's for the text task, by id.
    """
    from flows.platform import open_platform
    from serving.labels import decode_labels, label_key

    store = open_platform(settings).store
    folder = label_key("", scored.text_version, scored.image_version).rpartition("/")[0]
    tables = [decode_labels(store.get(info.key)) for info in store.list(f"{folder}/")]
    labels = pa.concat_tables(tables).to_pylist()
    if text_labels is not None:
        labels = [{**label, "text_is_represented": text_labels[label["id"]]} for label in labels]
    with truth_file.open(newline="") as file:
        truth = {row["id"]: row for row in csv.DictReader(file)}
    assert sorted(label["id"] for label in labels) == sorted(truth), "a tweet has no label, or more than one"
    hits = {
        column: float(np.mean([label[column] == int(truth[label["id"]][column]) for label in labels]))
        for column in ("text_is_represented", "image_adds")
    }
    both = [all(label[column] == int(truth[label["id"]][column]) for column in hits) for label in labels]
    return {**hits, "relation": float(np.mean(both))}


def _describe(
    figures: dict[str, Any], evaluated: "list[EvaluateReport]", aligned: "EvaluateReport", settings: Settings
) -> str:
    scored, correct, second = figures["scored"], figures["agreement_with_truth"], figures["aligned"]
    lines = [
        "",
        "The paper's way. ITRp, the most frequent class, clustering of the frozen features; clusters are named by human labels.",
        "Weighted F1 (%) on the relabelled test split:",
    ]
    for each in evaluated:
        lines += ["", each.table]
    lines += [
        "",
        "Without any label: the text task learned from true against shuffled pairs (small-aligned), which names its own classes:",
        "",
        aligned.table,
        "",
        f"{scored['pairs']} new tweets labelled in {scored['shards']} shard(s); "
        f"scoring again labelled {scored['second_run_pairs']}",
        "",
    ]
    lines += [f"  {code}  {scored['counts'].get(code, 0):4d}  {meaning}" for code, meaning in RELATIONS.items()]
    lines += [
        "",
        "share of the new tweets whose label is the truth      text represented   image adds   both",
        _share_line("the paper's way (ITRp, ITRp)", correct),
        _share_line("text task without any label, image task by ITRp", second["agreement_with_truth"]),
        _share_line("chance", {"text_is_represented": 0.5, "image_adds": 0.5, "relation": 0.25}),
        "",
        _compare(evaluated[0], aligned, figures),
        f"The gate {'made it the text champion' if second['promoted'] else 'keeps the champion'}: {second['reason']}.",
        "",
        f"everything is in {settings.work_dir}:",
        "  tweets/                 the synthetic tweets, with truth.csv",
        "  aligned-labels.csv      what the label-free model says of the new tweets (itrp predict)",
        "  objects/                shards/, labels/ (Parquet), checkpoints/, landing/",
        "  catalog.db mlflow.db prefect.db   what came from where, runs and models, flow runs",
        f"look: ITRP_WORK_DIR={settings.work_dir} itrp doctor",
        f"      mlflow ui --backend-store-uri sqlite:///{settings.work_dir}/mlflow.db",
        f"look at the tweets, label them, see how good the labels are: itrp review --demo {settings.work_dir}",
    ]
    return "\n".join(lines)


def _share_line(name: str, shares: dict[str, float]) -> str:
    text, image, both = (f"{shares[column]:.1%}" for column in ("text_is_represented", "image_adds", "relation"))
    return f"  {name:<50}  {text:>16}   {image:>10}   {both:>4}"


def _compare(itrp: "EvaluateReport", aligned: "EvaluateReport", figures: dict[str, Any]) -> str:
    """One sentence: which way is better here, and why."""
    second = figures["aligned"]
    new = [each["text_is_represented"] for each in (second["agreement_with_truth"], figures["agreement_with_truth"])]
    told = (
        f"on the text task weighted F1 {100 * aligned.f1:.1f} against {100 * itrp.f1:.1f}, and {new[0]:.1%} against {new[1]:.1%} "
        "of the new tweets"
    )
    why = (
        "it compares a text with its image, which a linear head on both features side by side cannot do, but it has to guess how "
        "many pairs match, where labels tell ITRp which cluster is which"
    )
    if second["warnings"]:
        return f"Here the alignment is too weak to name its classes ({told}, named by labels): {second['warnings'][0]}."
    if second["promoted"]:
        return f"Here the label-free way is better ({told}): {why}."
    better = aligned.f1 >= itrp.f1 and new[0] >= new[1]
    return (
        f"Here the label-free way, without one label, is {'as good as' if better else 'not better than'} ITRp with them "
        f"({told}); the difference may be chance: {why}."
    )
