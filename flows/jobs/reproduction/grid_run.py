"""A whole reproduction: the runs that are missing, the cells filled in, page and tables written. No Prefect in here."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from flows.jobs.datasets import find_data
from flows.jobs.reproduction.desk import RunDesk
from flows.jobs.reproduction.sources import Sources
from flows.platform import Platform
from flows.tracking.provenance import describe_environment, find_commit
from flows.tracking.runs import log_figures, open_parent
from itrp.baselines.config import SupervisedConfig, ZeroShotConfig
from itrp.baselines.provision import has_stand_ins
from itrp.config import ExperimentConfig
from itrp.errors import ItrpError, WeightsUnavailableError
from itrp.evaluation.cost import describe_device
from itrp.evaluation.results import Protocol
from itrp.experiments import AnyConfig, Preset
from itrp.files import write_atomically
from itrp.reproduction.cells import fill_cell
from itrp.reproduction.figure import draw_figure4
from itrp.reproduction.grids import Cell, RunSpec, UserModels, list_cells
from itrp.reproduction.page import encode_png, render_page
from itrp.reproduction.predictions import AnyPredictions
from itrp.reproduction.tables import Reproduction, format_tables, list_figures, write_csv
from serving.assessment import load_labelled_set
from serving.registry import connect_mlflow

logger = logging.getLogger(__name__)

ITR_PAIRS = 4400
"""ITR's label file has 4,471 rows; a few of them are rejected."""
PROTOCOLS = (Protocol.DEV, Protocol.ORACLE)
RunPredictor = Callable[[RunDesk, AnyConfig], AnyPredictions]
"""Gives the predictions of a configuration that no earlier run has left."""


@dataclass(frozen=True)
class ReproduceReport:
    """What a reproduction made."""

    preset: str
    tables: list[str]
    runs: int
    """Runs that the cells stand on."""
    new_runs: int
    """Of these, run now."""
    cells: int
    missing: int
    """Cells that could not be filled."""
    page: str
    csv: str
    mlflow_run: str
    text: str = field(repr=False)


def open_desk(platform: Platform, sources: Sources, preset: Preset) -> RunDesk:
    """The data sets opened, and the MLflow run of this preset on them."""
    unlabelled = find_data(platform.catalog, sources.unlabelled)
    labelled = load_labelled_set(platform.store, platform.catalog, sources.labelled, platform.settings.cache_dir)
    identity = hashlib.sha256(f"reproduce {preset} {unlabelled.hash} {labelled.hash}".encode()).hexdigest()
    folder = platform.settings.work_dir / "reproduce" / preset
    return RunDesk(
        platform, unlabelled, labelled, folder, open_parent(platform.settings, f"reproduce {preset}", identity)
    )


def run_grid(
    desk: RunDesk, tables: Sequence[str], preset: Preset, seeds: int, models: UserModels, predict: RunPredictor
) -> ReproduceReport:
    """Run what is missing, fill the cells in, and write page, CSV and image, on disk and in MLflow.

    A run that cannot be made (weights that are not to be had) leaves its cells empty, with the reason.
    """
    cells = [cell for table in tables for cell in list_cells(table, preset, models)]
    configs = list(dict.fromkeys(_list_configs(cells, seeds)))
    predictions = {config: known for config in configs if (known := desk.find(config)) is not None}
    found = len(predictions)
    failures: dict[AnyConfig, str] = {}
    absent: dict[str, str] = {}
    for number, config in enumerate(configs, start=1):
        if config in predictions:
            continue
        weights = _describe_weights(config)
        if weights in absent:  # looking for them again would take half a minute of retries
            failures[config] = absent[weights]
            continue
        logger.info("run %d of %d: %s, seed %d", number, len(configs), config.name, config.seed)
        try:
            predictions[config] = predict(desk, config)
        except ItrpError as error:
            logger.warning("cannot run %s: %s", config.name, error)
            failures[config] = str(error)
            if isinstance(error, WeightsUnavailableError):
                absent[weights] = str(error)
    made = _fill(desk, cells, preset, seeds, predictions, failures)
    return _publish(desk, made, tables, len(configs), len(predictions) - found)


def _describe_weights(config: AnyConfig) -> str:
    """Which pretrained parts a configuration takes: equal for runs that differ in training only."""
    if isinstance(config, SupervisedConfig):
        return config.network.model_dump_json()
    if isinstance(config, ZeroShotConfig):
        return config.model
    assert isinstance(config, ExperimentConfig)  # no table of the paper has any other
    return f"{config.text.name} {config.image.name} {config.image.weights}"


def _list_configs(cells: Sequence[Cell], seeds: int) -> Iterator[AnyConfig]:
    """Seed by seed, so that after a kill a first seed of everything is there before a second of anything."""
    for seed in range(seeds):
        for cell in cells:
            for spec in cell.system.runs:
                yield spec.config(_seed_of(spec, seed))


def _seed_of(spec: RunSpec, seed: int) -> int:
    return 0 if spec.is_seedless else seed


def _fill(
    desk: RunDesk,
    cells: Sequence[Cell],
    preset: Preset,
    seeds: int,
    predictions: dict[AnyConfig, AnyPredictions],
    failures: dict[AnyConfig, str],
) -> Reproduction:
    made = Reproduction(
        preset=preset,
        seeds=seeds,
        device=describe_device(desk.embeddings.device),
        data=_describe_origin(desk),
        results=[],
        missing={},
        on_itr=len(desk.labelled.annotations) >= ITR_PAIRS,
    )
    for cell in cells:
        count = 1 if all(spec.is_seedless for spec in cell.system.runs) else seeds
        configs = [[spec.config(_seed_of(spec, seed)) for spec in cell.system.runs] for seed in range(count)]
        why = next((failures[config] for row in configs for config in row if config in failures), None)
        if why is not None:
            made.missing[cell] = why
            continue
        runs = [[predictions[config] for config in row] for row in configs]
        stand_in = any(has_stand_ins(config) for config in configs[0])
        for protocol in PROTOCOLS:
            made.results.append(fill_cell(cell, protocol, runs, desk.labelled.annotations, stand_in=stand_in))
    return made


def _describe_origin(desk: RunDesk) -> dict[str, str]:
    return {
        "unlabelled data": f"{desk.unlabelled.dataset.name}, {desk.unlabelled.pairs} pairs, hash {desk.unlabelled.hash}",
        "labelled data": f"{desk.labelled.name}, {len(desk.labelled.annotations)} pairs, hash {desk.labelled.hash}",
        "code": find_commit(),
        "MLflow run": desk.parent,
        "packages": ", ".join(f"{name} {version}" for name, version in describe_environment().items()),
    }


def _publish(desk: RunDesk, made: Reproduction, tables: Sequence[str], runs: int, new_runs: int) -> ReproduceReport:
    text = format_tables(made)
    page, table = desk.folder / "index.html", desk.folder / "cells.csv"
    written = {
        page: render_page(made).encode(),
        table: write_csv(made).encode(),
        desk.folder / "tables.txt": text.encode(),
    }
    if "figure4" in made.tables:
        written |= {
            desk.folder / f"figure4-{protocol}.png": encode_png(draw_figure4(made, protocol)) for protocol in PROTOCOLS
        }
    client = connect_mlflow(desk.platform.settings.mlflow_uri)
    for path, data in written.items():
        with write_atomically(path) as draft:
            draft.write_bytes(data)
        client.log_artifact(desk.parent, str(path))
    log_figures(desk.platform.settings, desk.parent, list(list_figures(made)))
    client.set_terminated(desk.parent, "FINISHED")
    return ReproduceReport(
        preset=made.preset,
        tables=list(tables),
        runs=runs,
        new_runs=new_runs,
        cells=len(made.results) // len(PROTOCOLS),
        missing=len(made.missing),
        page=str(page),
        csv=str(table),
        mlflow_run=desk.parent,
        text=text,
    )
