"""The flow `reproduce-itrp`: the paper's tables and figure, beside the published numbers."""

from pathlib import Path
from typing import Literal

from prefect.artifacts import create_markdown_artifact

from flows.jobs.reproduction.desk import RunDesk
from flows.jobs.reproduction.grid_run import ReproduceReport
from flows.jobs.reproduction.runs import predict_run
from flows.jobs.reproduction.sources import Sources, ingest_sources
from flows.jobs.reproduction.tables import reproduce_tables
from flows.platform import Platform
from flows.runtime.io_task import io_task
from flows.runtime.orchestration import current_flow_run_id
from flows.runtime.platform_task import open_platform_task
from flows.runtime.watched_flow import watched_flow
from itrp.experiments import AnyConfig
from itrp.reproduction.predictions import AnyPredictions


@io_task("ingest-sources", "ingest {folder}")
def ingest_sources_task(platform: Platform, folder: Path) -> Sources:
    """Both layouts as data sets."""
    return ingest_sources(platform, folder, flow_run_id=current_flow_run_id())


@io_task("grid-run", "{config.name} seed {config.seed}")
def grid_run_task(desk: RunDesk, config: AnyConfig) -> AnyPredictions:
    """One configuration and seed, trained and asked."""
    return predict_run(desk, config, flow_run_id=current_flow_run_id())


@watched_flow("reproduce-itrp", "reproduce-itrp/{table} {preset}", hours=1000)
def reproduce_itrp(
    data: str,
    table: Literal["table3", "table4", "table5", "figure4", "all"] = "all",
    preset: Literal["paper", "code", "small"] = "paper",
    seeds: int = 6,
    joint: str | None = None,
    vlm: str | None = None,
    words: str | None = None,
    regions: str | None = None,
) -> ReproduceReport:
    """Run what is missing of the paper's grids and write a page with ours, published and difference.

    Args:
        data: Folder with an ITR layout and a Twitter100k layout in it.
        table: Which one, or all.
        preset: The paper's settings, its public code's, or small ones for a laptop.
        seeds: Seeds 0 to so many less one.
        joint: CLIP or SigLIP model (hub id or folder) for the zero-shot similarity baseline.
        vlm: Vision-language model (hub id or folder) for the zero-shot baseline.
        words: File of pretrained word vectors for the LSTM.
        regions: npz file of region features for LXMERT.
    """
    report = reproduce_tables(
        open_platform_task(), data, table, preset, seeds, joint, vlm, words, regions,
        ingest=ingest_sources_task, predict=grid_run_task,
    )  # fmt: skip
    create_markdown_artifact(key="reproduction", markdown=f"```\n{report.text}\n```\n\nPage: {report.page}")
    return report
