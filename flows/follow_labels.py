"""The flow `follow-labels`: every new hundred labelled tweets start an evaluation of the champions and a training on them."""

from flows.jobs.reviewed.label_watch import NewHundred, find_new_hundred, remember_hundred
from flows.platform import Platform
from flows.runtime.artifacts import rename_run
from flows.runtime.events import emit_hundred
from flows.runtime.io_task import io_task
from flows.runtime.orchestration import current_flow_run_id
from flows.runtime.platform_task import open_platform_task
from flows.runtime.watched_flow import watched_flow


@io_task("find-new-hundred", "count labelled tweets")
def find_new_hundred_task(platform: Platform) -> NewHundred | None:
    """A hundred nobody was told of."""
    return find_new_hundred(platform, current_flow_run_id())


@io_task("tell-hundred", "tell of {hundred.labels} labelled tweets")
def tell_hundred_task(platform: Platform, hundred: NewHundred) -> None:
    """The event, and last the memory of it: what is killed in between is done again."""
    emit_hundred(hundred)
    remember_hundred(platform.catalog, hundred)


@watched_flow("follow-labels", "follow-labels", hours=6)
def follow_labels() -> NewHundred | None:
    """Notice every new hundred tweets that people have labelled, bring the data set `reviewed` up to date, and emit
    `itrp.labels.hundred`, which starts an evaluation of the champions and a training of a labelled head on it.
    """
    platform = open_platform_task()
    hundred = find_new_hundred_task(platform)
    rename_run(f"follow-labels/{hundred.labels if hundred else 'nothing new'}")
    if hundred is not None:
        tell_hundred_task(platform, hundred)
    return hundred
