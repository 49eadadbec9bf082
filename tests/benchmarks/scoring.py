"""Scoring both tasks with BERT-base and ResNet-101 (random weights): pairs a second, against a plain loop, Ray Data and Daft.

    OMP_NUM_THREADS=2 python -m tests.benchmarks.scoring                 # 2 cores; ours from an S3 server started here
    OMP_NUM_THREADS=2 python -m tests.benchmarks.scoring --peers plain-1 plain-32 ray ray-bf16 daft daft-bf16
    python -m tests.benchmarks.scoring --gpu                             # one GPU, shards on local disk, room itrp and its labels

Ours starts at the object store and ends at the ledger; the peers read local files and write nothing. Peers named `-bf16`
run torch's autocast: what remains then is the engine. Daft and OpenVINO are measured where they are installed.
"""

import argparse
import dataclasses
import importlib.util
import os
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from itrp.data.inputs import ShardFile
from itrp.inference.pipeline import Embedded
from itrp.inference.runtimes import Precision, multiplies_bf16
from itrp.labels import Task
from serving.labeller import ShardLabeller
from serving.labels import build_labels, encode_labels
from tests.benchmarks.record import Row, record
from tests.benchmarks.scoring_inputs import save_models, write_shards
from tests.benchmarks.targets import BACKFILL, SCORING_CPU, SCORING_GPU, TARGETS

PAIRS = 576
"""So many that a network's first shapes are no large part of it."""
GFLOP = 40
"""Two BERT passes over 25 tokens and two ResNet-101 passes at 224 x 224."""
PEERS = ("plain-1", "plain-32", "ray", "ray-bf16", "daft", "daft-bf16")
PRECISIONS = ("bf16", "openvino", "fp32", "int8")
SPARE = 1.0
"""Load above the number of threads up to which the wall clock is believed."""
CPU = torch.device("cpu")
Models = dict[Task, Path]


@dataclasses.dataclass(frozen=True)
class Rate:
    """Pairs a second by the wall clock, and a second of one core: what is left when other programs use the machine too."""

    wall: float
    core: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", action="store_true", help="the row of one GPU instead of those of the CPU")
    parser.add_argument("--pairs", type=int, help=f"default: {PAIRS}, with --gpu 40,000")
    parser.add_argument("--peer-pairs", type=int, default=96, help="the peers' (default: %(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="of each, in turns; the median counts (default: %(default)s)"
    )
    parser.add_argument("--work", type=Path, help="keep the models and the check's verdicts here for the next run")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    args = parser.parse_args(arguments)
    if args.gpu:
        record(rows_gpu(args.pairs or 40_000, args.repeats), "scoring")
    else:
        record(rows(args.pairs or PAIRS, args.repeats, args.peers, args.peer_pairs, args.work), "scoring")


def rows(
    pairs: int = PAIRS,
    repeats: int = 3,
    peers: Sequence[str] = PEERS,
    peer_pairs: int = 96,
    kept: Path | None = None,
) -> list[Row]:
    """Scoring and backfill on the CPU. kept: a folder for the models, which are the same every time."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        models, shards = save_models((kept or work) / "models"), write_shards(work / "shards", pairs, 3)
        few = write_shards(work / "few", peer_pairs, 2)
        first = {Task.TEXT: models["text-1"], Task.IMAGE: models["image-1"]}
        ways: dict[str, Callable[[], dict[str, Rate]]] = {"floor": measure_floor}
        for precision in _precisions():
            ways[precision] = lambda precision=precision: measure_ours(kept or work, models, shards, precision)  # type: ignore[misc]
        for peer in peers:
            if importable(peer):
                ways[peer] = lambda peer=peer: {peer: measure_peer(peer, first, few)}  # type: ignore[misc]
        return list(_judge(_measure_in_turns(ways, repeats), _is_busy()))


def _precisions() -> list[Precision]:
    found: list[Precision] = ["fp32"]
    found += ["bf16"] if multiplies_bf16(CPU) else []
    found += ["openvino"] if importlib.util.find_spec("openvino") else []
    return [*found, "int8"] if importlib.util.find_spec("nncf") else found


def importable(peer: str) -> bool:
    """Whether the peer's package is installed."""
    package = peer.partition("-")[0]
    return package == "plain" or importlib.util.find_spec(package) is not None


def _measure_in_turns(ways: dict[str, Callable[[], dict[str, Rate]]], repeats: int) -> dict[str, list[Rate]]:
    """Everything in turns, so that a busy machine slows all alike; another order every second time."""
    found: dict[str, list[Rate]] = {}
    for turn in range(repeats):
        for name in [*ways][:: -1 if turn % 2 else 1]:
            for variant, rate in _try(name, ways[name]).items():
                found.setdefault(variant, []).append(rate)
                load = f"load {os.getloadavg()[0]:.1f}"
                print(f"{turn + 1}/{repeats} {variant:24s} {rate.wall:8.2f} {rate.core:8.2f} {load}", flush=True)
    return found


def _try(name: str, measure: Callable[[], dict[str, Rate]]) -> dict[str, Rate]:
    """A peer that fails is told and left out; ours must not fail."""
    try:
        return measure()
    except Exception:
        if name not in PEERS:
            raise
        traceback.print_exc()
        return {}


def measure_floor() -> dict[str, Rate]:
    """Pairs a second if all of a pair's arithmetic ran as fast as torch multiplies matrices here, each core its own."""
    floors = {}
    for name, kind in (("floor fp32", torch.float32), ("floor bf16", torch.bfloat16), ("floor int8", torch.int8)):
        threads, products = torch.get_num_threads(), 20
        left, right = ((30 * torch.randn(1024, 1024)).to(kind) for _ in range(2))
        _multiply(left, right, 1)
        began, cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda _: _multiply(left, right, products), range(threads)))  # noqa: B023  # ends in the loop
        pairs = threads * products * 2 * 1024**3 / 1e9 / GFLOP
        floors[name] = Rate(pairs / (time.perf_counter() - began), pairs / (time.process_time() - cpu))
    return floors


def _multiply(left: torch.Tensor, right: torch.Tensor, times: int) -> None:
    torch.get_num_threads()  # torch reads the process's number once in every thread
    multiply = torch._int_mm if left.dtype == torch.int8 else torch.mm
    with threadpool_limits(1, "openmp"):
        for _ in range(times):
            multiply(left, right)


def measure_ours(
    work: Path, models: dict[str, Path], shards: Sequence[ShardFile], precision: Precision
) -> dict[str, Rate]:
    """First scoring, then a backfill with another text model, then one with another image model."""
    from tests.benchmarks.scoring_platform import open_bench

    rates = {}
    with tempfile.TemporaryDirectory(dir=work) as folder, open_bench(Path(folder), models, shards) as bench:
        for variant, pair in (("", ("1", "1")), (" text backfill", ("2", "1")), (" image backfill", ("2", "2"))):
            scorer = bench.make_scorer(*pair, precision=precision, kept=work)
            began, cpu = time.perf_counter(), time.process_time()
            pairs = sum(row.pairs for row in scorer.score_all(bench.shards))
            rates[precision + variant] = Rate(
                pairs / (time.perf_counter() - began), pairs / (time.process_time() - cpu)
            )
            if not variant:
                print(f"  {scorer._labeller.runtime.name}: {scorer.times.describe()}")
    return rates


def measure_peer(peer: str, folders: Models, shards: Sequence[ShardFile]) -> Rate:
    """One way of doing the same."""
    # not needed on a bare machine with a GPU
    from tests.benchmarks.scoring_peers import PlainModels, rates_after_first, run_daft, run_loop, run_ray

    kind, _, variant = peer.partition("-")
    if kind == "plain":
        few = shards if variant != "1" else shards[:1]
        # threads that wait for each other spin, and on a busy machine that would be counted as the loop's own work
        with threadpool_limits(1 if _is_busy() else None, "openmp"):
            return Rate(*rates_after_first(run_loop(PlainModels(folders), few, int(variant))))
    run = run_ray if kind == "ray" else run_daft
    return Rate(*rates_after_first(run(folders, shards, torch.get_num_threads(), variant == "bf16", 8)))


def _is_busy() -> bool:
    """Whether more programs want the cores than there are: ours and the peers' want all of them."""
    return os.getloadavg()[1] > torch.get_num_threads() + SPARE


def _judge(found: dict[str, list[Rate]], busy: bool) -> Iterator[Row]:
    """The rows of the table, by the wall clock, or by processor time where the machine was busy with other things."""
    threads = torch.get_num_threads()
    wall = {name: statistics.median(rate.wall for rate in rates) for name, rates in found.items()}
    core = {name: threads * statistics.median(rate.core for rate in rates) for name, rates in found.items()}
    figures = {f"{name}, pairs/s": value for name, value in wall.items()}
    figures |= {f"{name}, pairs per {threads} core-seconds": value for name, value in core.items()}
    rates = core if busy else wall
    note = "random weights; peers read local files, their start-up is not counted"
    if busy:
        note += f"; the machine was busy (load {os.getloadavg()[1]:.1f}): rates are pairs per {threads} core-seconds"
    targets = {target.what: target.target for target in TARGETS}
    turns = min(len(each) for each in found.values())
    quick = "bf16" if "bf16" in rates else "fp32"  # what OpenVINO computes in too
    for precision in (name for name in PRECISIONS if name in rates):
        peers = {name: rates[precision] / rates[name] for name in PEERS if name in rates}
        arithmetic = quick if precision == "openvino" else precision
        met = rates[precision] >= 18 and peers.get("plain-1", 0) >= 4 and min(peers.values()) > 1
        yield Row(
            what=f"{SCORING_CPU}: {precision}",
            how=f"{threads} threads, S3 server on this machine, 3 shards; medians of {turns} turns",
            target=targets[SCORING_CPU],
            measured=f"{rates[precision]:.1f} pairs/s",
            floor=f"{rates[f'floor {arithmetic}']:.1f} pairs/s",
            peer="; ".join(f"{name} {rates[name]:.1f} ({ratio:.1f}x)" for name, ratio in peers.items()),
            note=note,
            figures=figures,
            met=met if arithmetic == quick else None,
        )
    for precision in (name for name in PRECISIONS if name in rates):
        ratios = {side: rates[f"{precision} {side} backfill"] / rates[precision] for side in ("text", "image")}
        yield Row(
            what=f"{BACKFILL}: {precision}",
            how="both models' first scoring, then a new text model, then a new image model",
            target=targets[BACKFILL],
            measured=f"{ratios['text']:.1f}x (new text model), {ratios['image']:.1f}x (new image model)",
            note="the other model's answers and the untouched encoders' vectors are read from the cache",
            figures={f"{side}, times the first scoring": ratio for side, ratio in ratios.items()},
            met=min(ratios.values()) >= 1.8,
        )


def rows_gpu(pairs: int = 40_000, repeats: int = 3, *, kind: str = "cuda", shard_pairs: int = 2_000) -> list[Row]:
    """Local shards to label files' bytes on one GPU: the store, the registry and the ledger are not needed."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        models = save_models(work / "models")
        shards = _repeat_shard(write_shards(work / "shards", shard_pairs, 1)[0], pairs // shard_pairs)
        rates, stages = [], ""
        for turn in range(repeats + 1):  # the first one warms up
            labeller = _load(models, work / f"cache-{turn}", work / "checks", kind)
            began = time.perf_counter()
            for embedded in labeller.embed(shards):
                _write_labels(labeller, embedded, work)
            rates.append(pairs / (time.perf_counter() - began))
            stages = labeller.times.describe()
            print(f"{rates[-1]:.0f} pairs/s on {labeller.runtime.name}; {stages}", flush=True)
    device = torch.device(kind)
    floor = _measure_gemm(device) / GFLOP
    measured = statistics.median(rates[1:])
    return [
        Row(
            what=f"{SCORING_GPU}: with label files written",
            how=f"{pairs} pairs in shards of {shard_pairs} on local disk, {os.cpu_count()} cores decode; median of {repeats}",
            target=next(target.target for target in TARGETS if target.what == SCORING_GPU),
            measured=f"{measured:.0f} pairs/s",
            floor=f"{floor:.0f} pairs/s",
            note=f"random weights; {stages}",
            figures={"pairs_per_second": measured, "floor": floor},
            met=measured >= 4_000,
        )
    ]


def _load(models: dict[str, Path], cache: Path, checks: Path, device: str) -> ShardLabeller:
    """A labeller without a cache but for the check of its runtime."""
    cache.mkdir()
    checks.mkdir(exist_ok=True)
    (cache / "checks").symlink_to(checks)
    return ShardLabeller({Task.TEXT: models["text-1"], Task.IMAGE: models["image-1"]}, cache=cache, device=device)


def _write_labels(labeller: ShardLabeller, embedded: Embedded, folder: Path) -> None:
    ids, found, _ = labeller.finish(embedded)
    shard = embedded.job.shard.hash
    table = build_labels(ids, found[Task.TEXT], found[Task.IMAGE], shard=shard, text_version="1", image_version="1")
    (folder / f"{shard}.labels").write_bytes(encode_labels(table))


def _repeat_shard(shard: ShardFile, times: int) -> list[ShardFile]:
    """The same file under other hashes: other shards to every cache, and no hour of drawing pictures."""
    return [dataclasses.replace(shard, hash=f"{number:08d}{shard.hash[8:]}") for number in range(times)]


def _measure_gemm(device: torch.device, size: int = 8192, times: int = 20) -> float:
    """GFLOP/s of bf16 products."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    (left @ right).sum().item()  # waits for the device
    began = time.perf_counter()
    product = left
    for _ in range(times):
        product = left @ right
    product.sum().item()
    return times * 2 * size**3 / 1e9 / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
