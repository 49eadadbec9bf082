"""`itrp name`: class names for clusters without human labels."""

import argparse
import dataclasses
import re
from typing import TYPE_CHECKING

from flows.cli.console import Report, start
from flows.cli.parsing import REFERENCE, add_command, whole
from itrp.errors import WrongUseError

if TYPE_CHECKING:
    from flows.cli.parsing import Commands


def add_parser(commands: "Commands") -> None:
    """`itrp name`."""
    parser = add_command(
        commands,
        "name",
        "give a model its class names without labels: look at its clusters, or ask a CLIP",
        "Alone, writes a page with 12 tweets of each cluster: 6 typical ones and 6 drawn at random. With --cluster or --map-with "
        "it registers a version with class names, the new challenger. `itrp evaluate` names clusters by human labels.",
    )
    parser.add_argument("model", metavar="MODEL", help=f"{REFERENCE}; or text or image: that task's challenger")
    namer = parser.add_mutually_exclusive_group()
    namer.add_argument(
        "--cluster",
        type=_answer,
        action="append",
        default=[],
        metavar="N=NAME",
        help="what you call cluster N: represented or not-represented (text task), adds or does-not-add (image task); of two "
        "clusters one is enough. A model of four takes 00, 01, 10 or 11 for each",
    )
    namer.add_argument(
        "--map-with",
        metavar="MODEL",
        help="hub id or folder of a CLIP or SigLIP: the cluster whose texts and images are more alike is 'text represented'",
    )
    parser.add_argument(
        "--data", metavar="NAME", help="data set to look at (default: the one the model was trained on)"
    )
    parser.add_argument(
        "--pairs", type=whole, metavar="N", help="look at about N pairs of a larger data set (default: 2000)"
    )
    parser.add_argument("--seed", type=whole, default=0, help="seed of what is drawn (default: %(default)s)")
    parser.add_argument(
        "--by", metavar="PERSON", help="who names the clusters, with --cluster (default: your user name)"
    )


def run(args: argparse.Namespace) -> tuple[Report, str]:
    """Show the clusters, or name them."""
    from serving.registry import parse_reference

    if args.model not in ("text", "image"):
        parse_reference(args.model)
    words = dict(args.cluster)
    if len(words) < len(args.cluster):
        raise WrongUseError("expected one --cluster for each cluster, found two for the same")
    if args.by is not None and not (words and args.by.strip() and args.by.isprintable() and len(args.by) <= 100):
        raise WrongUseError("--by is the name of the person who names clusters: it belongs to --cluster N=NAME")
    settings = start(args, told=f"{args.model}: loading libraries")
    from flows.jobs.contact_sheet import PAIRS, show_clusters
    from flows.jobs.naming import name_by_similarity, name_by_words
    from flows.platform import open_platform

    platform, looked_at = open_platform(settings), {"pairs": args.pairs or PAIRS, "seed": args.seed}
    if words:
        named = name_by_words(platform, args.model, words, data=args.data, person=args.by)
        return dataclasses.asdict(named), str(named)
    if args.map_with is not None:
        named = name_by_similarity(platform, args.model, args.map_with, data=args.data, **looked_at)
        return dataclasses.asdict(named), str(named)
    sheet = show_clusters(platform, args.model, data=args.data, **looked_at)
    return dataclasses.asdict(sheet), str(sheet)


def _answer(text: str) -> tuple[int, str]:
    """N=NAME."""
    found = re.fullmatch(r"([0-9]{1,3})=([a-z0-9-]+)", text)
    if not found:
        raise argparse.ArgumentTypeError(
            f"expected a cluster and its name such as 0=represented or 1=adds, found {text[:40]!r}"
        )
    return int(found[1]), found[2]
