"""The paper's tables from a folder of data to a page: `itrp reproduce`."""

from collections.abc import Callable
from pathlib import Path

from flows.jobs.reproduction.grid_run import ReproduceReport, RunPredictor, open_desk, run_grid
from flows.jobs.reproduction.runs import predict_run
from flows.jobs.reproduction.sources import Sources, ingest_sources
from flows.platform import Platform
from itrp.errors import WrongUseError
from itrp.experiments import Preset
from itrp.reproduction.grids import TABLES, UserModels


def reproduce_tables(
    platform: Platform,
    data: str,
    table: str = "all",
    preset: Preset = "paper",
    seeds: int = 6,
    joint: str | None = None,
    vlm: str | None = None,
    words: str | None = None,
    regions: str | None = None,
    *,
    ingest: Callable[[Platform, Path], Sources] = ingest_sources,
    predict: RunPredictor = predict_run,
) -> ReproduceReport:
    """Run what is missing of the paper's grids and write a page with ours, published and difference.

    The arguments are those of the flow `reproduce-itrp`, which gives tasks for `ingest` and `predict`.
    Raises WrongUseError without a seed, and for a folder without the data.
    """
    if seeds < 1:
        raise WrongUseError(f"expected at least one seed, found {seeds}")
    desk = open_desk(platform, ingest(platform, Path(data)), preset)
    models = UserModels(joint=joint, vlm=vlm, words=words, regions=regions)
    return run_grid(desk, TABLES if table == "all" else [table], preset, seeds, models, predict)
