"""Labels that an analysis doubts, put before people again: the queue "errors" of a review. No Prefect in here."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from flows.jobs.datasets import REVIEWED
from flows.jobs.reviewed.data_set import find_origins
from flows.platform import Platform
from infra.catalog.queries import get_dataset
from infra.catalog.queues import add_doubtful
from itrp.analysis.label_errors import ErrorCandidates
from itrp.labels import Task


def queue_doubts(
    platform: Platform, data: str, found: Mapping[Task, ErrorCandidates], models: Sequence[str]
) -> dict[str, int]:
    """Enter the tweets that confident learning flags in either task, the least plausible label first.

    Returns data set -> tweets: of `reviewed` those that its tweets came from, where people label them.
    """
    doubts: dict[str, float] = {}
    for task in (Task.TEXT, Task.IMAGE):
        if task in found:
            flagged = found[task].table[lambda table: table["flagged"]]
            for tweet_id, quality in zip(flagged["id"], flagged["quality"], strict=True):
                doubts[tweet_id] = max(doubts.get(tweet_id, 0.0), 1 - float(quality))
    queued = {}
    source = f"analyse errors by {' and '.join(models)}"[:512]
    for dataset_id, (name, some) in _split(platform, data, doubts).items():
        with platform.catalog.session() as session:
            queued[name] = add_doubtful(session, dataset_id, some, source)
    return queued


def _split(platform: Platform, data: str, doubts: Mapping[str, float]) -> dict[int, tuple[str, dict[str, float]]]:
    """Data set -> (its name, id -> doubt)."""
    if not doubts:
        return {}
    with platform.catalog.session() as session:
        dataset = get_dataset(session, data)
        origins = find_origins(session, doubts) if data == REVIEWED else {}
    assert dataset is not None
    together: dict[int, dict[str, float]] = defaultdict(dict)
    names = {dataset.id: dataset.name}
    for tweet_id, doubt in doubts.items():
        origin = origins.get(tweet_id)
        if origin is not None:
            names[origin.id] = origin.name
        together[origin.id if origin else dataset.id][tweet_id] = doubt
    return {dataset_id: (names[dataset_id], some) for dataset_id, some in together.items()}
