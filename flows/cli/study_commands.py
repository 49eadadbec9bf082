"""The commands that study models and labels: analyse, zero-shot, reproduce. Heavy imports wait for their command."""

import argparse
import dataclasses

from flows.cli.console import Report, start
from itrp.errors import WrongUseError


def analyse(args: argparse.Namespace) -> tuple[Report, str]:
    """One analysis of labels, words or disagreements."""
    from serving.registry import parse_reference

    names = ("data", "models", "table", "level", "joint", "fewest_tweets", "examples", "out")
    given = {name: value for name in names if (value := getattr(args, name, None)) is not None}
    for reference in given.get("models", ()):
        parse_reference(reference)
    if "table" in given:  # a wrong path or form is told before anything starts
        from pathlib import Path

        from itrp.analysis.annotators import read_annotation_tables

        read_annotation_tables(Path(given["table"]))
    start(args)
    from flows.analyse import analyse_tweets

    report = analyse_tweets(args.what, **given)
    figures = {key: value for key, value in dataclasses.asdict(report).items() if key != "summary"}
    notes = [f"note: {note}" for note in report.notes]
    written = f"{', '.join(report.files)} in {report.folder}; MLflow run {report.run_id}"
    return figures, "\n".join([report.summary, *notes, written])


def zero_shot(args: argparse.Namespace) -> tuple[Report, str]:
    """A model asked without training."""
    start(args)
    from flows.zero_shot import evaluate_zero_shot

    report = evaluate_zero_shot(args.model, args.data, args.protocol, args.set)
    figures = {key: value for key, value in dataclasses.asdict(report).items() if key != "table"}
    return figures, f"{report.table}\nMLflow run: {report.run_id}"


def reproduce(args: argparse.Namespace) -> tuple[Report, str]:
    """The paper's tables and figure."""
    if args.seeds < 1:
        raise WrongUseError("--seeds expects at least one seed")
    start(args)
    from flows.reproduce import reproduce_itrp

    report = reproduce_itrp(
        args.data, args.table, args.preset, args.seeds, args.joint, args.vlm, args.words, args.regions
    )
    figures = {key: value for key, value in dataclasses.asdict(report).items() if key != "text"}
    if report.missing:
        figures["exit_status"] = 1
    told = f"{report.runs} runs ({report.new_runs} new), {report.cells} cells, {report.missing} not run"
    return figures, f"{report.text}\n\n{told}\npage: {report.page}\nnumbers: {report.csv}"
