"""The flow `reproduce-itrp`: the paper's tables and figure, beside the published numbers."""

from pathlib import Path
from typing import Literal

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.orchestration import current_flow_run_id
from flows.platform import Platform, open_platform
from flows.reproduction.desk import RunDesk
from flows.reproduction.grid_run import ReproduceReport, open_desk, run_grid
from flows.reproduction.runs import answer
from flows.reproduction.sources import Sources, ingest_sources
from itrp.answers import AnyAnswers
from itrp.errors import WrongUseError
from itrp.experiments import AnyConfig
from itrp.grids import TABLES, UserModels


@task(name="ingest-sources", cache_policy=NO_CACHE, persist_result=False)
def ingest_sources_task(platform: Platform, folder: Path) -> Sources:
    """Both layouts as data sets."""
    return ingest_sources(platform, folder, flow_run_id=current_flow_run_id())


@task(name="grid-run", cache_policy=NO_CACHE, persist_result=False)
def grid_run_task(desk: RunDesk, config: AnyConfig) -> AnyAnswers:
    """One configuration and seed, trained and asked."""
    return answer(desk, config, flow_run_id=current_flow_run_id())


def _answer(desk: RunDesk, config: AnyConfig) -> AnyAnswers:
    """As a task run whose name says what runs."""
    return grid_run_task.with_options(task_run_name=f"{config.name} seed {config.seed}")(desk, config)


@flow(name="reproduce-itrp", flow_run_name="reproduce-itrp/{table} {preset}", persist_result=False)
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
    if seeds < 1:
        raise WrongUseError(f"expected at least one seed, found {seeds}")
    platform = open_platform()
    desk = open_desk(platform, ingest_sources_task(platform, Path(data)), preset)
    models = UserModels(joint=joint, vlm=vlm, words=words, regions=regions)
    report = run_grid(desk, TABLES if table == "all" else [table], preset, seeds, models, _answer)
    create_markdown_artifact(key="reproduction", markdown=f"```\n{report.text}\n```\n\nPage: {report.page}")
    return report
