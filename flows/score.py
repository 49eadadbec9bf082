"""The flow `score-tweets`: new tweets ingested, champions pinned once, every unlabelled shard labelled."""

import logging

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.ingest import ingest_landing_task
from flows.orchestration import current_flow_run_id
from flows.platform import open_platform
from flows.progress import ProgressReporter
from flows.scoring_run import find_work, pin_scorer
from infra.tables import LabelFile, Shard
from itrp.labels import RELATIONS
from serving.scoring import BatchScorer, ScoreReport, summarise

logger = logging.getLogger(__name__)


@task(name="score-shard", task_run_name="score {shard.hash:.12}", cache_policy=NO_CACHE, persist_result=False)
def score_shard_task(scorer: BatchScorer, shard: Shard) -> LabelFile:
    """Label one shard: file first, ledger second."""
    return scorer.score(shard, current_flow_run_id())


def _name_run() -> str:
    from prefect.runtime import flow_run

    return "score-tweets/backfill" if flow_run.parameters.get("backfill") else "score-tweets/new"


@flow(name="score-tweets", flow_run_name=_name_run, persist_result=False)
def score_tweets(backfill: bool = False) -> ScoreReport:
    """Label every newly collected tweet once.

    Args:
        backfill: Label every shard that the current pair of champions has not labelled, also those an older pair has.
    """
    platform = open_platform()
    ingest_landing_task(platform, replay=False)
    scorer = pin_scorer(platform)
    logger.info("champions: %s", scorer.pair)
    work = find_work(platform, scorer.pair, backfill=backfill)
    progress = ProgressReporter()
    rows = []
    for done, shard in enumerate(work, start=1):
        rows.append(score_shard_task(scorer, shard))
        progress("shards labelled", done, len(work))
    report = summarise(rows, scorer.pair)
    create_table_artifact(
        key="label-counts",
        table=[
            {"relation": code, "means": RELATIONS[code], "tweets": report.counts.get(code, 0)} for code in RELATIONS
        ],
        description=f"{report.pairs} tweets in {report.shards} shards; champions: {scorer.pair}",
    )
    return report
