"""Our Trainer beside the public reference implementation: same tweets, subsets, encoders and settings, both tasks.

    python -m tests.benchmarks.side_by_side --reference CHECKOUT --data TWITTER100K_LAYOUT --labelled captions_match

CHECKOUT is a checkout of SuYindu/ITRp (Sun et al. 2023), which stays outside this repository. Every run has a process of
its own, so that its peak memory is its own. The answers on the labelled pairs are compared under the protocols `oracle`
(of all pairs, as the reference does) and `last` (mapping from half of the pictures, F1 on the other half). Prints Markdown.
"""

import argparse
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from itrp.clustering.agreement import agreement, mean_pairwise_agreement
from itrp.clustering.mapping import apply_mapping, best_mapping
from itrp.config import ExperimentConfig, override
from itrp.evaluation.protocols import weighted_f1
from itrp.evaluation.results import Protocol, RoundPredictions, TaskPredictions, evaluate
from itrp.experiments import small_image, small_text
from itrp.labels import Task
from tests.benchmarks.reference_side import run_reference
from tests.benchmarks.sides import Labelled, Switches, Trace, read_labelled, run_itrp, write_labelled, write_tweets

Result = TypeVar("Result")
EXPERIMENTS = {"text": small_text, "image": small_image}
AS_THEY_ARE = "as they are"
LEVELS = {
    AS_THEY_ARE: Switches(),
    "same head and sample": Switches(same_draws=True),
    "and no dropout": Switches(same_draws=True, no_dropout=True),
    "and whole batches": Switches(same_draws=True, no_dropout=True, whole_batches=True),
}
"""Causes switched off one after the other."""
CONTROL = "ours twice, weights one rounding unit apart"


@dataclass(frozen=True, eq=False)
class Comparison:
    """The two sides' runs of one task, seed and level."""

    task: str
    seed: int
    level: str
    reference: Trace
    ours: Trace
    labelled: Labelled

    def pseudo_labels(self) -> list[float]:
        """Agreement by round, after alignment."""
        both = zip(self.reference.pseudo_labels, self.ours.pseudo_labels, strict=True)
        return [agreement(first, second, 2) for first, second in both]

    def answers(self) -> list[float]:
        """Agreement on the labelled pairs by round, after alignment."""
        return [agreement(*pair, 2) for pair in zip(self.reference.answers, self.ours.answers, strict=True)]

    def own_f1_difference(self) -> float:
        """Largest difference of the reference's own F1 from ours of the same answers; both should be 0 apart."""
        labels = self.labelled.labels
        mapped = [apply_mapping(each, best_mapping(each, labels, 2)) for each in self.reference.answers]
        found = [weighted_f1(labels, each) for each in mapped]
        return float(np.abs(np.subtract(found, self.reference.f1s)).max())


def score(trace: Trace, labelled: Labelled, protocol: Protocol) -> float:
    """Weighted F1 of the labelled pairs: `oracle` on all of them, other protocols with every other picture as dev."""
    dev = labelled.dev_rows()
    test = np.ones(len(dev), dtype=bool) if protocol is Protocol.ORACLE else ~dev
    rounds = [RoundPredictions(number, each[dev], each[test]) for number, each in enumerate(trace.answers, start=1)]
    predictions = TaskPredictions(rounds, labelled.labels[dev], labelled.labels[test])
    return evaluate(protocol, "raw", Task.TEXT, predictions).f1


def configure(task: str, seed: int, size: int, pairs: int, pixels: int) -> ExperimentConfig:
    """The small experiment, with a number of pairs that the subsets divide: the reference would drop the rest."""
    changes = [f"seed={seed}", f"subset_size={size}", f"pairs={pairs - pairs % size}", f"image.size={pixels}"]
    return override(EXPERIMENTS[task](), changes)


def choose_levels(task: str, seed: int, causes_on: int) -> list[str]:
    """All causes on the seeds below `causes_on`; with the image encoder frozen, batch norm cannot notice the batches."""
    if seed >= causes_on:
        return [AS_THEY_ARE]
    return [level for level, switches in LEVELS.items() if task == "image" or not switches.whole_batches]


class Bench:
    """What every comparison shares: the checkout, the tweets, the labelled pairs, and a folder to work in."""

    def __init__(self, reference: Path, data: Path, labelled: Path, work: Path, threads: int) -> None:
        self.reference = reference
        self.data = data
        self.labelled = read_labelled(labelled)
        self.work = work
        self.threads = threads
        self.ours: dict[tuple[str, int, Switches], Trace] = {}
        self.tweets, self.lines = write_tweets(work, data)
        self.labelled_shard = write_labelled(work, self.labelled)

    def compare(self, config: ExperimentConfig, level: str) -> Comparison:
        """Run both sides, one after the other."""
        lines, switches = self.lines[: config.pairs], LEVELS[level]
        theirs = self.run_apart(run_reference, self.reference, config, self.data, lines, self.labelled, switches)
        ours = self._run_ours(config, Switches(no_dropout=switches.no_dropout))
        return Comparison(str(config.task), config.seed, level, theirs, ours, self.labelled)

    def control(self, config: ExperimentConfig) -> Comparison:
        """Our side twice, its weights one rounding unit apart: what is left when every cause is switched off."""
        plain, nudged = (self._run_ours(config, Switches(no_dropout=True, nudged=each)) for each in (False, True))
        return Comparison(str(config.task), config.seed, CONTROL, plain, nudged, self.labelled)

    def _run_ours(self, config: ExperimentConfig, switches: Switches) -> Trace:
        """Runs of one task, seed and setting are shared between the levels: not every switch is about our side."""
        key = (config.name, config.seed, switches)
        if key not in self.ours:
            self.ours[key] = self.run_apart(run_itrp, config, self.tweets, self.labelled_shard, switches)
        return self.ours[key]

    def run_apart(self, side: Callable[..., Result], *arguments: object) -> Result:
        """In a process of its own, with a folder of its own."""
        with (
            tempfile.TemporaryDirectory(dir=self.work) as folder,
            ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
        ):
            return pool.submit(partial(_with_threads, self.threads, side, *arguments, Path(folder))).result()


def _with_threads(threads: int, side: Callable[..., Result], *arguments: object) -> Result:
    torch.set_num_threads(threads)
    return side(*arguments)


def describe_inputs(comparison: Comparison, n_init: int) -> str:
    """What both sides read before any training, and what k-means' number of starts does with it."""
    theirs, ours, seed = comparison.reference, comparison.ours, comparison.seed
    fits = {starts: KMeans(2, random_state=seed, n_init=starts).fit(ours.features) for starts in (1, n_init)}
    inertia = fits[1].inertia_ / fits[n_init].inertia_ - 1
    return (
        f"{comparison.task}, seed {seed}: largest difference of normalised pixels "
        f"{np.abs(theirs.images - ours.images).max():.1e}, of the first subset's vectors "
        f"{np.abs(theirs.features - ours.features).max():.1e} (vectors up to {np.abs(ours.features).max():.1f}); "
        f"one start of k-means instead of {n_init}: agreement {percent(agreement(fits[1].labels_, fits[n_init].labels_, 2))}, "
        f"inertia +{100 * inertia:.2f} %"
    )


def percent(share: float) -> str:
    """A share in per cent, one decimal."""
    return f"{100 * share:.1f}"


def format_row(comparison: Comparison) -> str:
    """One line of the table."""
    theirs, ours, labelled = comparison.reference, comparison.ours, comparison.labelled
    f1s = [
        f"{percent(score(theirs, labelled, protocol))} / {percent(score(ours, labelled, protocol))}"
        for protocol in (Protocol.LAST, Protocol.ORACLE)
    ]
    cells = [
        comparison.task,
        str(comparison.seed),
        comparison.level,
        " ".join(percent(share) for share in comparison.pseudo_labels()),
        " ".join(percent(share) for share in comparison.answers()),
        *f1s,
        f"{theirs.losses[-1]:.3f} / {ours.losses[-1]:.3f}",
        f"{theirs.seconds:.0f} / {ours.seconds:.0f}",
        f"{theirs.peak_mib:.0f} / {ours.peak_mib:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


HEADER = (
    "| task | seed | level | pseudo-labels agree, by round, % | answers agree, by round, % | F1 last, % | F1 oracle, % "
    "| last loss | seconds | peak MiB |\n|" + "---|" * 10
)
"""Pairs of figures are reference / ours."""


def format_noise(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """How far two seeds of one implementation are apart, by task: what two implementations cannot be expected to beat."""
    for task in dict.fromkeys(each.task for each in comparisons):
        chosen = [each for each in comparisons if each.task == task and each.level == AS_THEY_ARE]
        sides: dict[str, list[Trace]] = {
            "reference": [each.reference for each in chosen],
            "ours": [each.ours for each in chosen],
        }
        for name, traces in sides.items():
            rounds = len(traces[0].pseudo_labels)
            labels = [seeds_agree([trace.pseudo_labels[each] for trace in traces]) for each in range(rounds)]
            answers = [seeds_agree([trace.answers[each] for trace in traces]) for each in range(rounds)]
            yield f"{task}, {name}: pseudo-labels {' '.join(labels)}, answers {' '.join(answers)}"


def seeds_agree(runs: Sequence[NDArray[np.int64]]) -> str:
    """Mean agreement of all pairs of runs in per cent; a dash for one run."""
    share = mean_pairwise_agreement(runs, 2)
    return "-" if share is None else percent(share)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="Our Trainer beside the public reference implementation.")
    parser.add_argument("--reference", type=Path, required=True, help="checkout of SuYindu/ITRp")
    parser.add_argument("--data", type=Path, required=True, help="folder in Twitter100k's layout")
    parser.add_argument(
        "--labelled", type=Path, required=True, help="folder with pairs.csv: image,text,text_is_represented"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="to spread the seeds over several calls")
    parser.add_argument("--tasks", nargs="+", choices=("text", "image"), default=("text", "image"))
    parser.add_argument("--subset-size", type=int, default=500)
    parser.add_argument("--image-size", type=int, default=128, help="pictures are resized to so many pixels a side")
    parser.add_argument("--threads", type=int, default=1, help="of torch, in each run")
    parser.add_argument(
        "--causes-on", type=int, default=1, help="switch the causes off one by one on the seeds below this"
    )
    return parser


def main() -> None:
    """Run every comparison and print as they come."""
    arguments = build_parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments.reference, arguments.data, arguments.labelled, Path(folder), arguments.threads)
        print(f"{bench.tweets.pairs} tweets, {len(bench.labelled.labels)} labelled pairs\n\n{HEADER}", flush=True)
        done = []
        for task in arguments.tasks:
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                config = configure(task, seed, arguments.subset_size, bench.tweets.pairs, arguments.image_size)
                for level in choose_levels(task, seed, arguments.causes_on):
                    done.append(bench.compare(config, level))
                    print(format_row(done[-1]), flush=True)
                if seed < arguments.causes_on:
                    print(format_row(bench.control(config)), flush=True)
    print("\nTwo seeds of one implementation, agreement by round, %:\n")
    print("\n".join(f"- {line}" for line in format_noise(done)))
    print("\nBefore any training:\n")
    first = [each for each in done if each.level == AS_THEY_ARE]
    print("\n".join(f"- {describe_inputs(each, 10)}" for each in first))
    print(
        f"\nIts own F1 and ours of its answers differ by at most {max(each.own_f1_difference() for each in done):.1e}."
    )


if __name__ == "__main__":
    main()
