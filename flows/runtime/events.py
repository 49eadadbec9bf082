"""What happened, told to Prefect as events: automations listen to them, and the event feed of its page shows them."""

from collections.abc import Iterable, Mapping
from typing import Any

from prefect.events import emit_event

from flows.jobs.ingestion.report import IngestReport
from flows.jobs.night_watch import Finding
from flows.jobs.reviewed.label_watch import NewHundred
from flows.jobs.scoring import ScoringReport
from infra.catalog.tables import Shard
from serving.registry import ModelPair, ModelVersion
from serving.scorer import ScoreReport

SHARD_CREATED = "itrp.shard.created"
QUARANTINE_GREW = "itrp.quarantine.grew"
MODEL_REGISTERED = "itrp.model.registered"
CHAMPION_MOVED = "itrp.champion.moved"
LABELS_WRITTEN = "itrp.labels.written"
LABELS_BEHIND = "itrp.labels.behind"
"""The champions' pair has shards to label, and nobody has scored for an hour."""
LABELS_HUNDRED = "itrp.labels.hundred"
"""People have labelled another hundred tweets."""
TWEETS_SET_ASIDE = "itrp.tweets.set-aside"
"""Tweets in a shard that could not be labelled; the others of the shard are."""
ATTENTION_NEEDED = "itrp.attention.needed"
"""Something is wrong that no run repairs by itself (`flows.jobs.night_watch`)."""

ALERT_LABEL = "itrp.alert"
"""Label of `itrp.quarantine.grew`: "yes" when so many tweets were rejected that somebody should know."""
BACKFILL_LABEL = "itrp.backfill"
"""Label of `itrp.champion.moved` and `itrp.labels.behind`: "yes" where the archive is to be labelled (ITRP_BACKFILL)."""
MEASURABLE_LABELS = {"text": "itrp.measurable.text", "image": "itrp.measurable.image"}
"""Labels of `itrp.labels.hundred`: "yes" when the task has a champion, and random labels to measure it by."""
TRAINABLE_LABEL = "itrp.trainable"
"""Label of `itrp.labels.hundred`: "yes" when there are labels enough to train on."""
MAPPED_LABEL = "itrp.mapped"
"""Label of `itrp.models.itrp_model.registered`: "yes" when the version's clusters have class names."""


def emit_shards(shards: Iterable[Shard]) -> None:
    """One event a shard that was written."""
    for shard in shards:
        payload = {"key": shard.key, "pairs": shard.pairs, "bytes": shard.size}
        _emit(SHARD_CREATED, f"itrp.shard.{shard.hash}", f"shard {shard.hash[:12]}", payload)


def emit_quarantine(report: IngestReport, data: str, alert_from: int) -> None:
    """One event a run that rejected tweets; labelled where they are `alert_from` or more."""
    if report.quarantined:
        labels = {ALERT_LABEL: "yes" if report.quarantined >= alert_from else "no"}
        payload = {"quarantined": report.quarantined, "lines": report.lines, "by_code": report.by_code}
        _emit(QUARANTINE_GREW, f"itrp.quarantine.{data}", f"quarantine of {data}", payload, labels)


def emit_registered(versions: Iterable[ModelVersion]) -> None:
    """One event a version that was registered."""
    for version in versions:
        payload = {"task": str(version.task), "version": version.version, "mlflow_run_id": version.run_id}
        labels = {MAPPED_LABEL: "no" if version.mapping is None else "yes"}
        _emit(MODEL_REGISTERED, f"itrp.model.{version.name}.{version.version}", str(version), payload, labels)


def emit_champion(version: ModelVersion, before: str | None, verdict: str, *, backfill: bool) -> None:
    """A task has another champion: which one it was before, what the gate says of the new one, and whether to backfill."""
    payload = {"task": str(version.task), "version": version.version, "before": before, "gate": verdict}
    labels = {BACKFILL_LABEL: "yes" if backfill else "no"}
    _emit(CHAMPION_MOVED, f"itrp.champion.{version.task}", str(version), payload, labels)


def emit_labels(report: ScoreReport) -> None:
    """One event a scoring run that labelled anything."""
    if report.pairs:
        pair = f"text-{report.text_version}_image-{report.image_version}"
        payload = {
            "pairs": report.pairs, "shards": report.shards, "counts": report.counts, "set_aside": report.set_aside,
        }  # fmt: skip
        _emit(LABELS_WRITTEN, f"itrp.labels.{pair}", f"labels of {pair}", payload)


def emit_set_aside(report: ScoringReport) -> None:
    """One event a scoring run that met tweets it could not label: nothing of ours should have stored them."""
    if report.set_aside:
        pair = f"text-{report.text_version}_image-{report.image_version}"
        lines = "; ".join(report.set_aside_lines)
        told = f"{report.set_aside} tweets could not be labelled; others of their shards have labels. {lines}"
        payload = {"set_aside": report.set_aside, "tweets": report.set_aside_tweets, "told": told[:2000]}
        _emit(TWEETS_SET_ASIDE, f"itrp.labels.{pair}", f"set aside by {pair}", payload, {ALERT_LABEL: "yes"})


def emit_behind(pair: ModelPair, shards: int) -> None:
    """The pair has so many shards to label."""
    name = f"text-{pair.text.short}_image-{pair.image.short}"
    _emit(LABELS_BEHIND, f"itrp.labels.{name}", f"labels of {name}", {"shards": shards}, {BACKFILL_LABEL: "yes"})


def emit_hundred(hundred: NewHundred) -> None:
    """Another hundred labelled tweets, and what can be done with them."""
    payload = {"labels": hundred.labels, "train": hundred.reviewed.train, "test": hundred.reviewed.test}
    told = {MEASURABLE_LABELS[task]: "yes" if found else "no" for task, found in hundred.measurable.items()}
    labels = {**told, TRAINABLE_LABEL: "yes" if hundred.trainable else "no"}
    _emit(LABELS_HUNDRED, "itrp.labels.human", f"{hundred.labels} labelled tweets", payload, labels)


def emit_findings(findings: Iterable[Finding]) -> None:
    """One event each, for somebody to see to."""
    for finding in findings:
        payload = {"kind": finding.kind, "told": finding.told}
        _emit(ATTENTION_NEEDED, f"itrp.attention.{finding.kind}", finding.kind, payload, {ALERT_LABEL: "yes"})


def _emit(
    event: str, resource: str, name: str, payload: dict[str, Any], labels: Mapping[str, str] | None = None
) -> None:
    emit_event(
        event, {"prefect.resource.id": resource, "prefect.resource.name": name, **(labels or {})}, payload=payload
    )
