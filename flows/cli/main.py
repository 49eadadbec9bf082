"""The command line `itrp`: reads arguments, runs a flow, prints its report. Heavy imports wait for their command."""

import argparse
import dataclasses
import gc
import json
import shlex
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout

from flows.cli import quarantine_command, service_commands, study_commands
from flows.cli.arguments import parse_arguments
from flows.cli.console import Report, start, tell_server
from infra.errors import InfraError, SettingsError
from infra.interruption import INTERRUPTED, InterruptWatch
from itrp.errors import ItrpError, WrongUseError


def main(arguments: list[str] | None = None, *, watch: InterruptWatch | None = None) -> int:
    """Run one command. Returns 0, 1 when the work failed, 2 for wrong use.

    watch: is started for the command, and ends this process on Ctrl-C.
    """
    args = parse_arguments(arguments)
    args.watch = watch
    if watch is not None and args.command not in SERVING:
        watch.advice = advise(args.command, sys.argv[1:] if arguments is None else arguments)
        watch.start()
    return _run_command(args)


def _run_command(args: argparse.Namespace) -> int:
    try:
        with redirect_stdout(sys.stderr):  # a library that prints must not get between the reader and the JSON
            report, text = COMMANDS[args.command](args)
    except (WrongUseError, SettingsError) as error:
        return _fail(error, 2)
    except (ItrpError, InfraError) as error:
        return _fail(error, 1)
    except Exception as error:  # what MLflow, Prefect or the disk say, and our own faults
        if args.verbose:
            traceback.print_exc()
        return _fail(
            f"{type(error).__name__}: {str(error)[:500]}; --verbose shows where, `itrp doctor` what answers", 1
        )
    except KeyboardInterrupt:
        print("itrp: stopped", file=sys.stderr)
        return INTERRUPTED
    if args.watch is not None:
        args.watch.finish()
    print(json.dumps(report, default=str) if args.json else text)
    return int(report.pop("exit_status", 0)) if "exit_status" in report else 0


def advise(command: str, arguments: list[str]) -> str:
    """What a person does who has stopped a command and wants its work done."""
    if command == "train" and "--resume" not in arguments:
        arguments = [*arguments, "--resume"]
    typed = shlex.join(["itrp", *arguments])
    return f"{typed} {GOING_ON.get(command, 'does it from the beginning')}"


def _fail(error: Exception | str, status: int) -> int:
    print(f"itrp: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def _demo(args: argparse.Namespace) -> tuple[Report, str]:
    from flows.demo import prepare_demo, run_demo

    prepare_demo(args.folder)
    start(args)
    report = run_demo(args.folder, args.seed)
    return report.figures, report.text


def _ingest(args: argparse.Namespace) -> tuple[Report, str]:
    if args.layout != "landing" and args.replay:
        raise WrongUseError("--replay tries the landing zone's quarantine again: itrp ingest landing --replay")
    if args.start_after and (args.layout != "landing" or args.replay):
        raise WrongUseError(
            "--start-after passes over old keys of the landing zone: itrp ingest landing --start-after KEY"
        )
    if args.layout == "landing" and any((args.path, args.name, args.images, args.controversial, args.texts)):
        raise WrongUseError("itrp ingest landing takes no path and no name: it reads landing/ of the object store")
    if args.layout != "landing" and not (args.path and args.name):
        raise WrongUseError(
            f"itrp ingest {args.layout} needs a path and a name: itrp ingest {args.layout} PATH --name NAME"
        )
    columns = {role: getattr(args, role) for role in ("id", "text", "image", "created_at") if getattr(args, role)}
    if columns and args.layout != "csv":
        raise WrongUseError(
            "--id, --text, --image and --created-at name columns of a table: itrp ingest csv FILE --name NAME"
        )
    if args.layout == "csv" and (args.controversial or args.texts):
        raise WrongUseError("itrp ingest csv takes neither --controversial nor --texts: they belong to ITR")
    start(args)
    from flows.ingest import ingest_tweets
    from flows.jobs.ingestion.report import describe
    from flows.jobs.ingestion.run import open_folder

    given = {
        "images": args.images,
        "controversial": args.controversial,
        "texts": args.texts,
        "columns": columns or None,
    }
    if args.layout != "landing":  # wrong paths are told before anything starts
        open_folder(args.layout, args.path, **given)
    report = ingest_tweets(args.layout, args.path, args.name, replay=args.replay, start_after=args.start_after, **given)
    return dataclasses.asdict(report), describe(report)


def _train(args: argparse.Namespace) -> tuple[Report, str]:
    from itrp.config import ExperimentConfig, override
    from itrp.experiments import find_trainable

    config = override(find_trainable(args.experiment), args.overrides)
    unnamed = isinstance(config, ExperimentConfig)
    if args.watch is not None and not unnamed:
        args.watch.advice = f"{shlex.join(['itrp', *sys.argv[1:]])} does it from the beginning: no round of it is kept"
    settings = start(args, told=f"{args.experiment} on {args.data}: loading libraries")
    from flows.jobs.datasets import find_data
    from flows.platform import open_platform

    find_data(open_platform(settings), args.data)
    from flows.train import train_itrp

    tell_server()
    report = train_itrp(args.experiment, args.data, args.overrides, args.resume)
    challengers = " ".join(f"{version.partition('/')[0]}@challenger" for version in report.models)
    text = (
        f"{' and '.join(report.models)} (challenger) from {report.experiment} on {args.data}: {report.rounds} "
        f"{'rounds' if unnamed else 'epochs'}, MLflow run {report.run_id}\n"
        f"next: itrp evaluate {challengers} --data NAME {'gives its clusters class names' if unnamed else 'tells its F1'}"
    )
    text = "\n".join([text, *(f"warning: {warning}" for warning in report.warnings)])
    return dataclasses.asdict(report), text


def _evaluate(args: argparse.Namespace) -> tuple[Report, str]:
    from serving.registry import parse_reference

    for reference in args.models:
        parse_reference(reference)
    start(args)
    from flows.evaluate import evaluate_itrp

    report = evaluate_itrp(args.models, args.data, args.protocol, args.set, args.map_with, args.seed)
    figures = {key: value for key, value in dataclasses.asdict(report).items() if key != "table"}
    lines = [report.table, report.naming, f"models: {', '.join(report.models)}"]
    return figures, "\n".join(filter(None, lines))


def _promote(args: argparse.Namespace) -> tuple[Report, str]:
    if args.to is not None and args.task is None:
        raise WrongUseError("--to VERSION needs the task it is for: itrp promote text --to 3")
    start(args)
    from flows.promote import promote_models

    reports = promote_models(args.task or "both", args.data, args.set, args.dry_run, args.to, args.accept)
    lines = []
    for report in reports:
        verdict = "promoted" if report.promoted else ("dry run" if args.dry_run else "not promoted")
        lines.append(
            f"{report.task}: {report.challenger} {verdict} (champion before: {report.champion or 'none'})\n  {report.reason}"
        )
        if report.preview is not None:
            lines.append(_tell_flips(report.preview.changed, report.preview.looked_at))
            lines += [
                f"    {each['id']}: {each['before']} -> {each['after']}: {each['text']!r}"
                for each in report.preview.examples
            ]
    return {"decisions": [dataclasses.asdict(report) for report in reports]}, "\n".join(lines)


def _tell_flips(changed: int, looked_at: int) -> str:
    return f"  {changed} of the {looked_at} last scored labels would change" if looked_at else "  nothing is scored yet"


def _score(args: argparse.Namespace) -> tuple[Report, str]:
    if args.ray_address and args.engine != "ray":
        raise WrongUseError("--ray-address is the address of a Ray cluster: it needs --engine ray")
    start(args)
    from flows.jobs.ingestion.report import describe
    from flows.score import score_tweets

    report = score_tweets(args.backfill, args.engine, args.ray_address)
    lines = [
        f"{report.pairs} tweets in {report.shards} shards labelled by text {report.text_version}, image {report.image_version}"
    ]
    from itrp.labels import RELATIONS

    lines += [f"  {code}  {count:7d}  {RELATIONS[code]}" for code, count in report.counts.items()]
    if report.set_aside:
        lines += [f"{report.set_aside} tweets set aside without labels:", *(f"  {line}" for line in report.telling)]
    lines += ["ingested before:", *(f"  {line}" for line in describe(report.ingested).splitlines())]
    lines += [f"attention: {warning}" for warning in report.warnings]
    return dataclasses.asdict(report), "\n".join(lines)


def _agreement(args: argparse.Namespace) -> tuple[Report, str]:
    settings = start(args)
    if args.data is not None:
        from flows.jobs.datasets import find_data
        from flows.platform import open_platform

        find_data(open_platform(settings), args.data)
    from flows.agreement import watch_agreement

    reports = watch_agreement(args.task or "both", args.data)
    return {"agreements": [dataclasses.asdict(report) for report in reports]}, "\n".join(map(str, reports))


def _explain(args: argparse.Namespace) -> tuple[Report, str]:
    settings = start(args, flows=False)
    import yaml

    from flows.jobs.explain import explain_tweet
    from flows.platform import open_platform

    report = explain_tweet(open_platform(settings), args.id)
    return report, yaml.safe_dump(report, sort_keys=False, allow_unicode=True, width=120).rstrip()


def _doctor(args: argparse.Namespace) -> tuple[Report, str]:
    settings = start(args, flows=False)
    from flows.jobs.doctor import examine
    from flows.runtime.prefect_parts import PREFECT_PARTS

    checks = examine(settings, PREFECT_PARTS)
    report: Report = {"ok": all(check.ok for check in checks), "parts": [dataclasses.asdict(check) for check in checks]}
    report["exit_status"] = 0 if report["ok"] else 1
    return report, "\n".join(f"{check.mark:4s} {check.part:14s} {check.told}" for check in checks)


def _synthetic(args: argparse.Namespace) -> tuple[Report, str]:
    from pathlib import Path

    start(args, flows=False, private=False)
    from itrp.datasets import synthetic
    from itrp.progress import ProgressBar, count_stage

    write = {
        "itr": synthetic.write_itr_layout,
        "twitter100k": synthetic.write_twitter100k_layout,
        "landing": synthetic.write_landing_layout,
    }[args.layout]
    with ProgressBar() as bar:
        folder = write(Path(args.folder), args.pairs, args.seed, count_stage(bar, "tweets drawn", args.pairs))
    text = f"{args.pairs} tweets in the layout {args.layout} in {folder}; the truth is in {folder / 'truth.csv'}"
    return {"folder": str(folder), "layout": args.layout, "pairs": args.pairs, "seed": args.seed}, text


COMMANDS: dict[str, Callable[[argparse.Namespace], tuple[Report, str]]] = {
    "demo": _demo,
    "ingest": _ingest,
    "quarantine": quarantine_command.quarantine,
    "train": _train,
    "evaluate": _evaluate,
    "promote": _promote,
    "score": _score,
    "agreement": _agreement,
    "explain": _explain,
    "doctor": _doctor,
    "synthetic": _synthetic,
    "analyse": study_commands.analyse,
    "reproduce": study_commands.reproduce,
    "zero-shot": study_commands.zero_shot,
    "deploy": service_commands.deploy,
    "bridge": service_commands.bridge,
}


SERVING = ("bridge",)
"""Commands that serve until a signal comes, and end in their own way."""
GOING_ON = {
    "train": "goes on where it stopped",
    "ingest": "goes on where it stopped: no tweet is stored twice",
    "score": "goes on where it stopped: what is labelled stays labelled",
    "reproduce": "goes on where it stopped: finished runs are kept",
    "evaluate": "does it again: predictions that were made are kept",
}
"""What the same command line does the next time, train's with --resume."""


def run() -> None:
    """Entry point of the console script."""
    # what imports make stays: looking for garbage in it after every 700 objects takes half a second of a start
    gc.set_threshold(50_000, 20, 20)
    raise SystemExit(main(watch=InterruptWatch("")))
