"""The flow `analyse-tweets`: labels, words and cases of a data set, looked at."""

from typing import Any, Literal

from prefect.artifacts import create_table_artifact

from flows.jobs.analysis import run_analysis
from flows.jobs.analysis_record import AnalysisReport
from flows.platform import open_platform
from flows.runtime.io_task import io_task
from flows.runtime.orchestration import current_flow_run_id
from flows.runtime.watched_flow import watched_flow


@io_task("analyse", "analyse {what}")
def analyse_task(what: str, arguments: dict[str, Any]) -> AnalysisReport:
    """Analyse, write to the folder, and log. arguments: of `run_analysis`."""
    return run_analysis(open_platform(), what, **arguments, flow_run_id=current_flow_run_id())


@watched_flow("analyse-tweets", "analyse-tweets/{what}", hours=24)
def analyse_tweets(
    what: Literal["agreement", "clip", "words", "cases", "errors"],
    data: str | None = None,
    models: list[str] | None = None,
    table: str | None = None,
    level: Literal["nominal", "ordinal", "interval"] | None = None,
    joint: str | None = None,
    fewest_tweets: int | None = None,
    examples: int | None = None,
    out: str | None = None,
) -> AnalysisReport:
    """Look at a data set's labels, words or disagreements.

    Args:
        what: agreement (Krippendorff's alpha of an annotation table), clip (label quality by a dual encoder), words (of
            each class), cases (where models and people differ), errors (labels that are probably wrong).
        data: Name of a data set with human labels; all but agreement need one.
        models: Such as itrp-text-task@champion itrp-image-task/3; the champions by default. For words, cases, errors.
        table: For agreement: CSV of items x annotators.
        level: For agreement: how labels are compared.
        joint: For clip: hub id or folder of a CLIP or SigLIP model.
        fewest_tweets: For words: a word in fewer tweets is left out.
        examples: For cases: how many are shown of each group.
        out: Folder to write to; by default one in the work folder.
    """
    arguments = {
        "data": data, "models": models, "table": table, "level": level, "joint": joint, "fewest_tweets": fewest_tweets,
        "examples": examples, "out": out,
    }  # fmt: skip
    report = analyse_task(what, arguments)
    figures = [{"figure": name, "value": value} for name, value in report.figures.items()]
    create_table_artifact(key="analysis", table=figures, description=f"{what} of {report.data}")
    return report
