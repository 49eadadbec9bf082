"""What is kept of an analysis: files in a folder, and one MLflow run with its numbers and artifacts."""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flows.jobs.data_names import name_file
from flows.tracking.provenance import find_commit
from flows.tracking.runs import find_experiment_id
from infra.settings import Settings
from itrp.analysis.findings import Findings
from serving.registry import connect_mlflow

ANALYSIS_TAG = "itrp.analysis"
"""Which analysis a run is: agreement, clip, words, cases or errors."""


@dataclass(frozen=True)
class Subject:
    """What was analysed."""

    name: str
    """Of the data set, or of the annotation table's file."""
    hash: str
    models: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class AnalysisReport:
    """What an analysis found and where it lies."""

    what: str
    data: str
    models: list[str]
    figures: dict[str, float]
    notes: list[str]
    """What could not be found out, and why."""
    folder: str
    files: list[str]
    run_id: str
    summary: str = field(repr=False)
    """The result as plain text."""


def record_analysis(
    settings: Settings,
    what: str,
    subject: Subject,
    findings: Findings,
    *,
    out: Path | None = None,
    flow_run_id: str | None = None,
) -> AnalysisReport:
    """Write the findings to a folder (by default `analysis/<what>-<data>` in the work folder) and to MLflow."""
    folder = out or settings.work_dir / "analysis" / f"{what}-{name_file(subject.name)}"
    files = findings.write(folder)
    figures = {name: float(value) for name, value in findings.figures.items() if math.isfinite(value)}
    run_id = _log(settings, what, subject, figures, files, flow_run_id)
    return AnalysisReport(
        what=what,
        data=subject.name,
        models=list(subject.models),
        figures=figures,
        notes=list(findings.notes),
        folder=str(folder),
        files=[path.name for path in files],
        run_id=run_id,
        summary=findings.summary,
    )


def _log(
    settings: Settings,
    what: str,
    subject: Subject,
    figures: Mapping[str, float],
    files: list[Path],
    flow_run_id: str | None,
) -> str:
    """One run named `analyse <what>`; failed when it cannot be written whole. Returns its id."""
    from mlflow.entities import Metric, Param

    client = connect_mlflow(settings.mlflow_uri)
    commit, stamp = find_commit(), int(time.time() * 1000)
    tags = {
        ANALYSIS_TAG: what,
        "itrp.dataset_hash": subject.hash,
        "itrp.git_commit": commit,
        "mlflow.source.git.commit": commit,
        "itrp.flow_run_id": flow_run_id or "",
    }
    run_id = str(client.create_run(find_experiment_id(settings), run_name=f"analyse {what}", tags=tags).info.run_id)
    parameters = {"data": subject.name, "models": ", ".join(subject.models), **subject.settings}
    try:
        client.log_batch(
            run_id,
            metrics=[Metric(_metric_name(name), value, stamp, 0) for name, value in figures.items()],
            params=[Param(name, str(value)) for name, value in parameters.items()],
        )
        for path in files:
            client.log_artifact(run_id, str(path))
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")
    return run_id


def _metric_name(name: str) -> str:
    """MLflow takes letters, digits and a few marks; a user's column may hold others."""
    return re.sub(r"[^\w\-. /]", "_", name)
