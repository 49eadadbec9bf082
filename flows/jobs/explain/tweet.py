"""`itrp explain ID`: a tweet and what is said of it, back to the models, their data, and the object it came in."""

from typing import Any

import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.orm import Session

from flows.jobs.review_files.pictures import read_row
from flows.platform import Platform
from infra.catalog.annotations import AnnotationFilter, annotation_history
from infra.catalog.current_labels import settled_labels
from infra.catalog.database import Catalog
from infra.catalog.queries import TweetOrigin, find_tweet, labels_of_shard
from infra.catalog.review_tables import Annotation
from infra.catalog.tables import LabelFile, ModelRun, QuarantinedTweet
from infra.object_store import ObjectStore
from itrp.labels import RELATIONS, Task
from serving.errors import NotFoundError
from serving.files import local_file
from serving.labels import decode_labels, read_set_aside_rows
from serving.registry import DATASET_TAG, MODEL_NAMES, Registry


def explain_tweet(platform: Platform, tweet_id: str) -> dict[str, Any]:
    """Everything known of a tweet. Raises NotFoundError when nothing is."""
    with platform.catalog.session() as session:
        origins = find_tweet(session, tweet_id)
        rejected = list(session.scalars(select(QuarantinedTweet).where(QuarantinedTweet.tweet_id == tweet_id)))
        label_files = {origin.shard.id: labels_of_shard(session, origin.shard.id) for origin in origins}
        human = {origin.dataset.id: _explain_people(session, origin) for origin in origins}
    if not origins and not rejected:
        raise NotFoundError(
            f"no tweet with the id {tweet_id!r} was ever ingested: check the id, or run `itrp ingest landing`"
        )
    return {
        "id": tweet_id,
        "stored": [
            {**_explain_origin(platform, origin, label_files[origin.shard.id]), "human": human[origin.dataset.id]}
            for origin in origins
        ],
        "quarantined": [_explain_rejection(row) for row in rejected],
    }


def _explain_origin(platform: Platform, origin: TweetOrigin, label_files: list[LabelFile]) -> dict[str, Any]:
    file = local_file(platform.store, origin.shard.key, platform.settings.cache_dir / "objects")
    row = read_row(file, origin.tweet.row)
    return {
        "dataset": origin.dataset.name,
        "text": row["text"],
        "created_at": row["created_at"].isoformat() if row["created_at"] else None,
        "lang": row["lang"],
        "image_path": row["image"]["path"],
        "image_sha256": row["image_sha256"],
        "shard": {"key": origin.shard.key, "row": origin.tweet.row, "flow_run": origin.shard.flow_run_id},
        "landing_object": {
            "key": origin.landing_object.key,
            "etag": origin.landing_object.etag,
            "line": origin.tweet.line,
            "ingested_at": origin.landing_object.ingested_at.isoformat(),
            "flow_run": origin.landing_object.flow_run_id,
        },
        "labels": [_explain_label(platform, origin, file) for file in label_files],
    }


def _explain_people(session: Session, origin: TweetOrigin) -> dict[str, Any]:
    """Settled labels by task, and everything that was said, the oldest first."""
    asked = AnnotationFilter(dataset_id=origin.dataset.id, tweet_ids=[origin.tweet.tweet_id])
    settled = [
        {
            "task": label.task,
            "value": label.value,
            "zeros": label.zeros,
            "ones": label.ones,
            "decided": label.decided,
            "random": label.random,
        }
        for label in settled_labels(session, asked)
    ]
    history = annotation_history(session, asked)[::-1]
    return {"settled": settled, "history": [_explain_annotation(row) for row in history]}


def _explain_annotation(row: Annotation) -> dict[str, Any]:
    names = ("task", "kind", "value", "person", "queue", "seconds", "note", "guideline", "source", "token")
    return {"at": row.created_at.isoformat(), **{name: getattr(row, name) for name in names}}


def _explain_label(platform: Platform, origin: TweetOrigin, file: LabelFile) -> dict[str, Any]:
    return {
        **_read_label(platform.store, origin, file),
        "file": file.key,
        "scored_at": file.scored_at.isoformat(),
        "flow_run": file.flow_run_id,
        "models": [
            _explain_model(platform.registry, platform.catalog, MODEL_NAMES[Task.TEXT], file.text_version),
            _explain_model(platform.registry, platform.catalog, MODEL_NAMES[Task.IMAGE], file.image_version),
        ],
    }


def _read_label(store: ObjectStore, origin: TweetOrigin, file: LabelFile) -> dict[str, Any]:
    """The tweet's label in a label file, or why it has none there."""
    table = decode_labels(store.get(file.key))
    found = table.filter(pc.equal(table.column("id"), origin.tweet.tweet_id)).to_pylist()
    if not found:
        why = next(each for each in read_set_aside_rows(table) if each.tweet_id == origin.tweet.tweet_id)
        return {"set_aside": {"code": why.code, "reason": why.reason}}
    (label,) = found
    return {
        "relation": label["relation"],
        "means": RELATIONS[label["relation"]],
        "text_is_represented_probability": label["text_is_represented_probability"],
        "image_adds_probability": label["image_adds_probability"],
    }


def _explain_model(registry: Registry, catalog: Catalog, name: str, version: str) -> dict[str, Any]:
    """A version, the MLflow run it is of, and the data that taught it."""
    found = registry.resolve(f"{name}/{version}")
    with catalog.session() as session:
        run = session.scalars(select(ModelRun).where(ModelRun.mlflow_run_id == found.run_id)).first()
    return {
        "model": str(found),
        "mlflow_run": found.run_id,
        "experiment": run.experiment if run else found.tags.get("itrp.experiment"),
        "dataset": found.tags.get(DATASET_TAG),
        "dataset_hash": run.dataset_hash if run else found.tags.get("itrp.dataset_hash"),
        "git_commit": found.tags.get("itrp.git_commit"),
        "flow_run": run.flow_run_id if run else None,
    }


def _explain_rejection(row: QuarantinedTweet) -> dict[str, Any]:
    return {
        "object": row.object_key,
        "line": row.line,
        "code": row.code,
        "reason": row.reason,
        "at": row.created_at.isoformat(),
        "resolved_at": row.resolved_at.isoformat() if row.resolved_at else None,
    }
