"""The command line `itrp`: reads arguments, runs a command, prints its report. Heavy imports wait for their command."""

import argparse
import gc
import json
import shlex
import sys
import traceback
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Protocol

from flows.cli import (
    agreement,
    analyse,
    bridge,
    demo,
    deploy,
    doctor,
    evaluate,
    explain,
    export,
    import_labels,
    ingest,
    name,
    predict,
    promote,
    quarantine,
    report,
    reproduce,
    review,
    sample,
    score,
    synthetic,
    train,
    zero_shot,
)
from flows.cli.console import Report
from flows.cli.parsing import OneLineParser
from infra.errors import InfraError, SettingsError
from infra.interruption import INTERRUPTED, InterruptWatch
from itrp.errors import ItrpError, WrongUseError

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


class Command(Protocol):
    """A module of this package: its grammar and what it does."""

    def add_parser(self, commands: "Commands") -> None:
        """Add the command's grammar."""
        ...

    def run(self, args: argparse.Namespace) -> tuple[Report, str]:
        """Do it: the report for machines, and the text for people."""
        ...


COMMANDS: dict[str, Command] = {
    "demo": demo,
    "ingest": ingest,
    "quarantine": quarantine,
    "train": train,
    "evaluate": evaluate,
    "name": name,
    "promote": promote,
    "score": score,
    "predict": predict,
    "review": review,
    "sample": sample,
    "import-labels": import_labels,
    "export": export,
    "report": report,
    "agreement": agreement,
    "explain": explain,
    "doctor": doctor,
    "synthetic": synthetic,
    "analyse": analyse,
    "reproduce": reproduce,
    "zero-shot": zero_shot,
    "deploy": deploy,
    "bridge": bridge,
}
"""In the order of `itrp --help`."""
SERVING = ("bridge", "review")
"""Commands that serve until a signal comes, and end in their own way."""
GOING_ON = {
    "train": "continues where it stopped",
    "ingest": "continues where it stopped: no tweet is stored twice",
    "score": "continues where it stopped: labelled tweets keep their labels",
    "reproduce": "continues where it stopped: it keeps finished runs",
    "evaluate": "repeats it: it keeps the predictions that exist",
    "name": "repeats it: it keeps the predictions that exist",
    "import-labels": "continues where it stopped: no answer is entered twice",
    "export": "writes the file from its beginning",
    "predict": "writes the file from its beginning: it keeps the predictions that exist",
}
"""What the same command line does the next time, train's with --resume."""


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
            report, text = COMMANDS[args.command].run(args)
    except (WrongUseError, SettingsError) as error:
        return _fail(error, 2)
    except (ItrpError, InfraError) as error:
        return _fail(error, 1)
    except Exception as error:  # what MLflow, Prefect or the disk say, and our own faults
        if args.verbose:
            traceback.print_exc()
        return _fail(
            f"{type(error).__name__}: {str(error)[:500]}; --verbose shows where, `itrp doctor` which part fails", 1
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
    return f"{typed} {GOING_ON.get(command, 'starts from the beginning')}"


def _fail(error: Exception | str, status: int) -> int:
    print(f"itrp: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def build_parser() -> OneLineParser:
    """The whole grammar."""
    parser = OneLineParser(
        prog="itrp",
        description="Does a tweet's image represent its text, and does the image add to the meaning? "
        "ITRp answers both without labels: ingest tweets, train two models, evaluate, promote, score.",
        epilog="Settings are ITRP_… variables; `itrp doctor` shows what each part uses. "
        "Exit status: 0, 1 when the work failed, 2 for wrong use. 130: stopped by Ctrl-C.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=OneLineParser)
    for command in COMMANDS.values():
        command.add_parser(commands)
    return parser


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line. argparse alone rejects `train EXPERIMENT --data N key=value`: it looks for the rest of a
    list of positional arguments only before the first option.
    """
    parser = build_parser()
    args, rest = parser.parse_known_args(arguments)
    if args.command == "train":
        args.overrides = args.overrides + [word for word in rest if "=" in word and not word.startswith("-")]
        rest = [word for word in rest if word not in args.overrides]
    if rest:
        print(
            f"itrp {args.command}: not understood: {' '.join(rest)} (see `itrp {args.command} --help`)", file=sys.stderr
        )
        raise SystemExit(2)
    return args


def run() -> None:
    """Entry point of the console script."""
    # what imports make stays: looking for garbage in it after every 700 objects takes half a second of a start
    gc.set_threshold(50_000, 20, 20)
    raise SystemExit(main(watch=InterruptWatch("")))
