"""The command line's grammar: `itrp COMMAND …`. Light: importing it costs no library of ours."""

import argparse
import sys
from typing import TYPE_CHECKING

from flows.cli.parsing import REFERENCE, OneLineParser, add_command, whole
from flows.cli.quarantine_command import add_quarantine
from flows.cli.service_arguments import add_bridge, add_deploy
from flows.cli.study_arguments import add_analyse, add_reproduce, add_zero_shot

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def build_parser() -> OneLineParser:
    """The whole grammar."""
    parser = OneLineParser(
        prog="itrp",
        description="Is the text of a tweet represented in its picture, and does the picture add to its meaning? "
        "ITRp answers without labels: ingest tweets, train two models, evaluate, promote, score.",
        epilog="Settings are ITRP_… variables; `itrp doctor` shows what they lead to. "
        "Exit status: 0, 1 when the work failed, 2 for wrong use. 130: stopped by Ctrl-C.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=OneLineParser)
    for add in (
        _add_demo,
        _add_ingest,
        add_quarantine,
        _add_train,
        _add_evaluate,
        _add_promote,
        _add_score,
        _add_agreement,
        _add_explain,
        _add_doctor,
        _add_synthetic,
        add_analyse,
        add_reproduce,
        add_zero_shot,
        add_deploy,
        add_bridge,
    ):
        add(commands)
    return parser


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line. argparse alone refuses `train EXPERIMENT --data N key=value`: it looks for the rest of a
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


def _add_demo(commands: "Commands") -> None:
    parser = add_command(
        commands, "demo", "run the whole chain on synthetic tweets, in a few minutes, with nothing to start"
    )
    parser.add_argument(
        "--folder",
        default="itrp-demo",
        help="where everything goes; emptied first if a demo made it (default: %(default)s)",
    )
    parser.add_argument("--seed", type=whole, default=1, help="seed of the synthetic tweets (default: %(default)s)")


def _add_ingest(commands: "Commands") -> None:
    parser = add_command(
        commands,
        "ingest",
        "turn tweets with pictures into checked shards",
        "itrp ingest landing | itrp ingest twitter100k DIR --name N | "
        "itrp ingest itr LABELS.csv --images DIR [--controversial FILE] --name N | "
        "itrp ingest ltec ltec-image-text-relation.json --images DIR --name N | "
        "itrp ingest csv FILE --name N [--id COL] [--text COL] [--image COL] [--created-at COL]",
    )
    parser.add_argument(
        "layout",
        nargs="?",
        choices=("landing", "twitter100k", "itr", "ltec", "csv"),
        default="landing",
        help="where the tweets lie",
    )
    parser.add_argument(
        "path",
        nargs="?",
        help="Twitter100k's folder (text.txt, images/), ITR's or LTEC's label file, or a table (CSV, TSV or Parquet)",
    )
    parser.add_argument("--name", help="what the data set shall be called")
    parser.add_argument(
        "--images",
        metavar="DIR",
        help="ITR: folder of T<tweet id>.jpg; LTEC: of its unpacked pictures; csv: where the pictures' names start, if not "
        "beside the table",
    )
    parser.add_argument("--controversial", metavar="FILE", help="ITR: the relabelling list (controversial_samples.txt)")
    parser.add_argument(
        "--texts", metavar="FILE", help="ITR: CSV or JSONL with tweet_id and tweet, for the label file without texts"
    )
    for option, holds in (
        ("--id", "ids"),
        ("--text", "texts"),
        ("--image", "pictures' files"),
        ("--created-at", "times"),
    ):
        parser.add_argument(
            option, metavar="COL", help=f"csv: column with the {holds}, where its name is not a usual one"
        )
    parser.add_argument("--replay", action="store_true", help="landing: try the quarantined tweets again")
    parser.add_argument(
        "--start-after",
        metavar="KEY",
        default="",
        help="landing: pass over all keys up to this one, as landing/2026-11-24/",
    )


def _add_train(commands: "Commands") -> None:
    parser = add_command(
        commands, "train", "train a model (ITRp without labels, or a baseline) and register it as challenger"
    )
    parser.add_argument("experiment", help="paper-text, small-image, paper-clip-text …; a wrong name lists all")
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],  # argparse would name it among the missing ones
        metavar="key=value",
        help="settings to change, for example seed=3 clustering.method=gmm",
    )
    parser.add_argument("--data", required=True, metavar="NAME", help="data set to train on")
    parser.add_argument(
        "--resume", action="store_true", help="go on where a killed run of the same settings and data stopped"
    )


def _add_evaluate(commands: "Commands") -> None:
    parser = add_command(
        commands,
        "evaluate",
        "compare models with human labels; give a new model its class names",
        "One model is evaluated on its task, a text and an image model together on the image-text task. Under dev and last, a "
        "model whose clusters have no class names yet gets them: they are registered as a new version, the new challenger.",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help=REFERENCE)
    parser.add_argument("--data", required=True, metavar="NAME", help="data set with human labels")
    chooser = parser.add_mutually_exclusive_group()
    chooser.add_argument(
        "--protocol",
        choices=("dev", "oracle", "last"),
        default="dev",
        help="who chooses mapping and checkpoint (default: %(default)s)",
    )
    chooser.add_argument(
        "--map-with",
        type=_naming,
        metavar="N_OR_MODEL",
        help="in place of a protocol: choose mapping and checkpoint with N labelled pairs of the train split (reported as "
        "dev-N), or the last one's mapping with a CLIP or SigLIP model by hub id or folder, without labels (reported as joint)",
    )
    parser.add_argument("--seed", type=whole, default=0, help="of the draw of --map-with N (default: %(default)s)")
    parser.add_argument(
        "--set",
        choices=("raw", "RM", "RL"),
        default="raw",
        help="test set: as published, controversial removed, relabelled (default: %(default)s)",
    )


def _add_promote(commands: "Commands") -> None:
    parser = add_command(commands, "promote", "make the challenger the champion if it is better")
    parser.add_argument("task", nargs="?", choices=("text", "image"), help="one task; both by default")
    parser.add_argument("--data", metavar="NAME", help="labelled data set to decide on (default: the newest)")
    parser.add_argument(
        "--set", choices=("raw", "RM", "RL"), default="raw", help="test set to decide on (default: %(default)s)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="move nothing; show how many of the last scored labels would change"
    )
    parser.add_argument(
        "--to", metavar="VERSION", help="move the champion to this version without asking the gate (roll back)"
    )
    parser.add_argument(
        "--accept",
        action="store_true",
        help="promote on label-free figures where there is no labelled data set, and in spite of warnings about the training",
    )


def _add_score(commands: "Commands") -> None:
    parser = add_command(commands, "score", "ingest what is new in the landing zone and label it, every tweet once")
    parser.add_argument(
        "--backfill", action="store_true", help="label everything that the current champions have not labelled"
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="label in this process, or spread the shards over a Ray cluster (default: %(default)s)",
    )
    parser.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="auto, host:port or ray://host:port; by default a cluster of this machine",
    )


def _add_agreement(commands: "Commands") -> None:
    parser = add_command(
        commands,
        "agreement",
        "do the models of several seeds agree? a figure of quality that needs no labels",
        "The version that scores (before there is one, the newest) is compared with the newest version of each other seed of "
        "the same experiment, settings and data, on the newest unlabelled tweets (2,000 at most), clusters aligned.",
    )
    parser.add_argument("task", nargs="?", choices=("text", "image"), help="one task; both by default")
    parser.add_argument(
        "--data", metavar="NAME", help="data set to look at (default: landing, before there is one the training data)"
    )


def _add_explain(commands: "Commands") -> None:
    parser = add_command(commands, "explain", "trace a tweet's labels back to models, data and the object it came in")
    parser.add_argument("id", help="tweet id")


def _add_doctor(commands: "Commands") -> None:
    add_command(commands, "doctor", "show each part, whether it answers, and the next step where it does not")


def _add_synthetic(commands: "Commands") -> None:
    parser = add_command(commands, "synthetic", "write synthetic tweets with known truth")
    parser.add_argument("folder", metavar="DIR", help="a folder that does not exist yet or is empty")
    parser.add_argument("--layout", choices=("itr", "twitter100k", "landing"), required=True, help="of the files")
    parser.add_argument("--pairs", type=whole, required=True, help="how many, 20 to 100000")
    parser.add_argument(
        "--seed", type=whole, default=0, help="the same seed draws the same tweets (default: %(default)s)"
    )


def _naming(text: str) -> str:
    """A number of 1 or more, or the name of a model."""
    if not text.strip() or (text.isdecimal() and int(text) < 1):
        raise argparse.ArgumentTypeError(f"expected a number of labelled pairs from 1 on, or a model, found {text!r}")
    return text
