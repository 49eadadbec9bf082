"""What is known of a tweet, as a person reads it: its text, where its picture lies, and what models and people say of it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flows.jobs.datasets import REVIEWED
from itrp.labels import CLASS_NAMES, Task

LONGEST_TEXT = 2000
"""Characters of a text that are shown; the JSON has all of them."""


def describe_tweet(report: Mapping[str, Any], *, verbose: bool = False) -> str:
    """The report of `explain_tweet` in words; hashes, ETags and runs only with `verbose`."""
    # where it was ingested to comes first: the copy that the data set of labels holds says nothing new
    stored = sorted(report["stored"], key=lambda each: each["dataset"] == REVIEWED)
    parts = [
        [_describe_copy(each)]
        if each["dataset"] == REVIEWED and len(stored) > 1 and not verbose
        else [*_describe_stored(report["id"], each, verbose)]
        for each in stored
    ]
    parts += [_describe_rejection(report["id"], rejected) for rejected in report["quarantined"]]
    return "\n\n".join("\n".join(part) for part in parts)


def _describe_stored(tweet_id: str, stored: Mapping[str, Any], verbose: bool) -> Iterator[str]:
    text = "".join(character if character.isprintable() else " " for character in stored["text"])
    yield text[:LONGEST_TEXT] + (" …" if len(text) > LONGEST_TEXT else "")
    yield ""
    lang = f", language {stored['lang']}" if stored["lang"] else ""
    yield f"tweet {tweet_id} of {_tell_time(stored['created_at'])}{lang}, in the data set {stored['dataset']}"
    shard, landing = stored["shard"], stored["landing_object"]
    yield f"picture: {stored['image_path'] or 'without a name'}, row {shard['row']} of {_shorten(shard['key'], verbose)}"
    yield f"came in {landing['key']}, line {landing['line']}, ingested {_tell_time(landing['ingested_at'])}"
    if verbose:
        yield f"  image sha256 {stored['image_sha256']}"
        yield f"  landing object etag {landing['etag']}, flow run {landing['flow_run'] or 'none'}"
    yield ""
    yield from _describe_labels(stored["labels"], verbose)
    yield ""
    yield from _describe_people(stored["human"], verbose)


def _describe_copy(stored: Mapping[str, Any]) -> str:
    return (
        f"also in the data set {REVIEWED} (row {stored['shard']['row']} of {_shorten(stored['shard']['key'], False)})"
    )


def _describe_labels(labels: Iterable[Mapping[str, Any]], verbose: bool) -> Iterator[str]:
    """The newest first: what the tweet counts as now."""
    labels = [*labels][::-1]
    yield "models say:" if labels else "models say nothing yet: itrp score labels what is new"
    for label in labels:
        pair = " and ".join(model["model"] for model in label["models"])
        yield f"  {_describe_label(label)}"
        yield f"    by {pair}, scored {_tell_time(label['scored_at'])}"
        for model in label["models"]:
            taught = f"{model['experiment'] or 'an unknown experiment'} on {model['dataset'] or 'unknown data'}"
            yield f"      {model['model']}: {taught}" + (f" ({_trace(model)})" if verbose else "")
        if verbose:
            yield f"    file {label['file']}, flow run {label['flow_run'] or 'none'}"


def _describe_label(label: Mapping[str, Any]) -> str:
    if "set_aside" in label:
        return f"no label: {label['set_aside']['reason']} ({label['set_aside']['code']})"
    chances = (label["text_is_represented_probability"], label["image_adds_probability"])
    told = []
    for task, chance in zip((Task.TEXT, Task.IMAGE), chances, strict=True):
        told.append(f"{CLASS_NAMES[task][int(chance > 0.5)]} ({100 * max(chance, 1 - chance):.0f} % sure)")
    return f"{label['relation']}: {', '.join(told)}"


def _describe_people(human: Mapping[str, Any], verbose: bool) -> Iterator[str]:
    settled, history = human["settled"], human["history"]
    yield "people say:" if history else "people say nothing yet: itrp review, or itrp import-labels"
    for each in settled:
        agree, people = each["ones"] if each["value"] else each["zeros"], each["ones"] + each["zeros"]
        how = "decided" if each["decided"] else f"{agree} of {people}"
        yield f"  {CLASS_NAMES[Task(each['task'])][each['value']]} ({how})"
    for each in history:
        yield f"    {_tell_time(each['at'])} {_describe_annotation(each)}" + (
            f" [token {each['token']}, guidelines {each['guideline']}]" if verbose else ""
        )


def _describe_annotation(row: Mapping[str, Any]) -> str:
    names = CLASS_NAMES[Task(row["task"])]
    said = {
        "label": lambda: f"says {names[row['value']]}",
        "skip": lambda: f"passed over the {row['task']} question",
        "withdrawal": lambda: f"took the answer about the {row['task']} back",
        "decision": lambda: "opened the case again" if row["value"] is None else f"decided {names[row['value']]}",
    }[row["kind"]]()
    took = f", in {row['seconds']:.0f} s" if row["seconds"] is not None else ""
    came = "" if row["source"] == "page" else f", from {row['source']}"
    note = f": {' '.join(row['note'].split())}" if row["note"] else ""
    return f"{row['person']} {said} (queue {row['queue']}{took}{came}){note}"


def _describe_rejection(tweet_id: str, row: Mapping[str, Any]) -> list[str]:
    state = (
        f"brought in by a replay at {_tell_time(row['resolved_at'])}" if row["resolved_at"] else "still in quarantine"
    )
    return [
        f"tweet {tweet_id} was rejected at {_tell_time(row['at'])} ({row['code']}), {state}",
        f"  {row['object']}, line {row['line']}: {row['reason']}",
    ]


def _tell_time(moment: str | None) -> str:
    """A point in time, ISO 8601 in UTC, to the minute."""
    return f"{moment[:16].replace('T', ' ')} UTC" if moment else "an unknown time"


def _shorten(key: str, verbose: bool) -> str:
    folder, _, name = key.rpartition("/")
    return key if verbose or len(name) < 30 else f"{folder}/{name[:12]}….parquet"


def _trace(model: Mapping[str, Any]) -> str:
    names = {"mlflow_run": "MLflow run", "dataset_hash": "data hash", "git_commit": "commit", "flow_run": "flow run"}
    return ", ".join(f"{told} {model[name]}" for name, told in names.items() if model[name])
