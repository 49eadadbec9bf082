"""The grammar of the commands that study models and labels: analyse, zero-shot, reproduce."""

from typing import TYPE_CHECKING

from flows.cli.parsing import REFERENCE, OneLineParser, add_command, whole

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_analyse(commands: "Commands") -> None:
    """`itrp analyse WHAT`"""
    parser = commands.add_parser(
        "analyse",
        help="look at labels, words and disagreements: tables, pictures and pages",
        description="Each analysis writes PNG or HTML and its numbers as CSV, and logs them to MLflow. All take --out DIR and "
        "--json; `itrp analyse WHAT --help` says the rest.",
    )
    whats = parser.add_subparsers(dest="what", required=True, metavar="WHAT", parser_class=OneLineParser)
    agreement = add_command(whats, "agreement", "do annotators agree? Krippendorff's alpha of a table of labels")
    agreement.add_argument("table", metavar="TABLE.csv", help="one column an annotator, or rows item,annotator,label")
    agreement.add_argument("--level", choices=("nominal", "ordinal", "interval"), help="default: nominal")
    clip = add_command(whats, "clip", "are the labels any good? text-picture similarity by CLIP against the relation")
    clip.add_argument("--joint", required=True, metavar="MODEL", help="hub id or folder of a CLIP or SigLIP model")
    words = add_command(whats, "words", "which words go with which class, by models and people, as word clouds")
    words.add_argument("--fewest-tweets", type=whole, metavar="N", help="leave out words of fewer tweets (default: 10)")
    cases = add_command(whats, "cases", "where models and people differ: a page with the pictures")
    cases.add_argument("--examples", type=whole, metavar="N", help="how many to show of each group (default: 6)")
    errors = add_command(whats, "errors", "which labels are probably wrong, by confident learning")
    for each in (clip, words, cases, errors):
        each.add_argument("--data", required=True, metavar="NAME", help="data set with human labels")
    for each in (words, cases, errors):
        each.add_argument("--models", nargs="+", metavar="MODEL", help=f"{REFERENCE} (default: the champions)")
    for each in (agreement, clip, words, cases, errors):
        each.add_argument("--out", metavar="DIR", help="folder to write to (default: one in the work folder)")


def add_zero_shot(commands: "Commands") -> None:
    """`itrp zero-shot MODEL`"""
    parser = add_command(
        commands,
        "zero-shot",
        "evaluate a model that is asked without training: CLIP, SigLIP, or a vision-language model",
        "A dual encoder (CLIP, SigLIP) answers by one similarity threshold a task, a vision-language model by the likelihood "
        "of the four relations; beside it the most frequent class, and what 1,000 tweets cost.",
    )
    parser.add_argument("model", metavar="MODEL", help="hub id or folder")
    parser.add_argument("--data", required=True, metavar="NAME", help="data set with human labels")
    parser.add_argument(
        "--protocol",
        choices=("dev", "oracle"),
        default="dev",
        help="whose labels choose the threshold: the train split's or the test set's (default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        choices=("raw", "RM", "RL"),
        default="raw",
        help="test set: as published, controversial removed, relabelled (default: %(default)s)",
    )


def add_reproduce(commands: "Commands") -> None:
    """`itrp reproduce TABLE`"""
    parser = add_command(
        commands,
        "reproduce",
        "run the paper's tables and figure, beside the published numbers",
        "Runs what is missing and goes on after a kill; writes a page with ours, published and difference of every cell.",
    )
    parser.add_argument("table", choices=("table3", "table4", "table5", "figure4", "all"))
    parser.add_argument(
        "--data", required=True, metavar="DIR", help="folder with an ITR layout and a Twitter100k layout in it"
    )
    parser.add_argument(
        "--preset",
        choices=("paper", "code", "small"),
        default="paper",
        help="the paper's settings, its public code's, or small ones for a laptop (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=whole, default=6, help="how many (default: %(default)s)")
    parser.add_argument("--joint", metavar="MODEL", help="CLIP or SigLIP asked zero-shot: hub id or folder")
    parser.add_argument("--vlm", metavar="MODEL", help="vision-language model asked zero-shot: hub id or folder")
    parser.add_argument("--words", metavar="FILE", help="pretrained word vectors for the LSTM")
    parser.add_argument("--regions", metavar="FILE", help="npz of region features for LXMERT")
