"""What a day of N tweets needs: formulas over measured rates; whatever is assumed says so."""

from collections.abc import Iterator
from dataclasses import dataclass

from flows.jobs.scoring import GROUP_SHARDS
from tests.benchmarks.scaling_rates import Rates

DAY = 86_400
MEASURED = "measured"
ASSUMED = "**assumed**"


@dataclass(frozen=True)
class Assumptions:
    """What the machine at hand cannot tell."""

    tweets: int
    """A day: N in the formulas."""
    gpu_rate: float
    """Pairs a second that one GPU labels."""
    busy: float
    """Share of the time that machines work; the rest is peaks, restarts and waiting."""
    ingest_runs: int
    """A day."""
    retention: float
    """Days that landing objects are kept."""
    picture_bytes: float | None = None
    """Bytes a picture, where those measured are not typical."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    value: str
    formula: str
    source: str


def compute_demand(rates: Rates, assumed: Assumptions) -> Iterator[Row]:
    """The table, row by row."""
    yield from _count_objects(rates, assumed)
    yield from _count_bytes(rates, assumed)
    yield from _count_requests(rates, assumed)
    yield from _count_machines(rates, assumed)
    yield from _count_rows(rates, assumed)


def _count_objects(rates: Rates, assumed: Assumptions) -> Iterator[Row]:
    n = assumed.tweets
    yield Row("landing objects", _count(n + n / rates.batch), f"N + N / {rates.batch} a batch file", "contract")
    yield Row("shards", _count(n / rates.shard), f"N / {rates.shard:.0f}", MEASURED)
    yield Row("label files, a pair of versions", _count(n / rates.shard), "one a shard", MEASURED)


def _count_bytes(rates: Rates, assumed: Assumptions) -> Iterator[Row]:
    n = assumed.tweets
    landing, shard = rates.landing_bytes, rates.shard_bytes
    source = MEASURED
    if assumed.picture_bytes is not None:
        # a shard holds the pictures as they came, beside the texts
        landing, shard, source = assumed.picture_bytes + 200, assumed.picture_bytes + 200, ASSUMED
    yield Row("landing bytes", _bytes(n * landing), f"N x {landing:,.0f}", source)
    yield Row("shard bytes", _bytes(n * shard), f"N x {shard:,.0f}", source)
    yield Row("label file bytes", _bytes(n * rates.label_bytes), f"N x {rates.label_bytes:.1f}", MEASURED)
    moved = 2 * landing + 2 * shard + 2 * rates.label_bytes
    formula = "N x (2 landing + 2 shard + 2 label bytes): in, read to ingest, written, read to score"
    yield Row("network at the object store", f"{n * moved * 8 / DAY / 1e9:.2f} Gbit/s on average", formula, source)


def _count_requests(rates: Rates, assumed: Assumptions) -> Iterator[Row]:
    n = assumed.tweets
    collected = n + n / rates.batch
    yield Row("requests of the collectors", f"{_count(collected)} PUT", "one a landing object", "contract")
    for phase, counts in (("ingest", rates.ingest_requests), ("score", rates.score_requests)):
        for kind, count in sorted(counts.items()):
            if kind != "LIST":
                formula = f"N x {count / rates.pairs:.5f}"
                yield Row(f"{phase}: {kind}", _count(n * count / rates.pairs), formula, MEASURED)
    pages = collected * assumed.retention / 1000
    formula = f"landing objects x {assumed.retention:g} days / 1,000 x {assumed.ingest_runs} runs"
    yield Row("ingest: LIST, whole prefix", _count(pages * assumed.ingest_runs), formula, "protocol")
    hours = pages * rates.list_seconds / 3600
    formula = f"{_count(pages)} pages x {rates.list_seconds * 1000:.0f} ms"
    yield Row("one listing of a full landing zone", f"{hours:.1f} h", formula, MEASURED)


def _count_machines(rates: Rates, assumed: Assumptions) -> Iterator[Row]:
    n, busy = assumed.tweets, assumed.busy
    yield Row("pairs a second, on average", f"{n / DAY:,.0f}", "N / 86,400", "arithmetic")
    for what, seconds in (("ingest", rates.ingest_seconds), ("decode for scoring", rates.decode_seconds)):
        formula = f"N x {seconds * 1000:.2f} ms / 86,400 s / {busy:g}"
        yield Row(f"CPU cores, {what}", f"{n * seconds / DAY / busy:.1f}", formula, MEASURED)
    formula = f"N x {rates.score_seconds * 1000:.0f} ms / 86,400 s / {busy:g}"
    cores = n * rates.score_seconds / DAY / busy
    yield Row("CPU cores, scoring with the small models and no GPU", f"{cores:,.0f}", formula, MEASURED)
    hours = n / assumed.gpu_rate / 3600
    yield Row("GPU hours, both tasks", f"{hours:.1f}", f"N / {assumed.gpu_rate:,.0f} pairs/s / 3,600", ASSUMED)
    yield Row("GPUs", f"{hours / 24 / busy:.2f}", f"GPU hours / 24 / {busy:g}", ASSUMED)


def _count_rows(rates: Rates, assumed: Assumptions) -> Iterator[Row]:
    n = assumed.tweets
    rows = {
        "stored_tweet": n,
        "landing_object": n / rates.batch,
        "shard": n / rates.shard,
        "label_file": n / rates.shard,
    }
    for name, count in rows.items():
        size = count * rates.row_bytes[name]
        value = f"{_count(count)} rows, {_bytes(size)}"
        yield Row(f"{rates.database}: {name}", value, f"x {rates.row_bytes[name]:.0f} bytes with indexes", MEASURED)
    formula = f"N x {rates.insert_seconds * 1e6:.0f} us"
    yield Row("time to insert stored_tweet, one writer", f"{n * rates.insert_seconds / 3600:.1f} h", formula, MEASURED)
    year = 365 * n * rates.row_bytes["stored_tweet"]
    yield Row("stored_tweet after a year", _bytes(year), "365 days", MEASURED)
    yield Row(
        "Prefect task runs, engine local",
        _count(n / rates.shard / GROUP_SHARDS),
        f"one for {GROUP_SHARDS} shards; none with engine ray",
        "code",
    )


def _count(number: float) -> str:
    for size, word in ((1e9, "thousand million"), (1e6, "million")):
        if number >= size:
            return f"{number / size:,.1f} {word}"
    return f"{number:,.0f}"


def _bytes(number: float) -> str:
    for size, unit in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if number >= size:
            return f"{number / size:,.2f} {unit}"
    return f"{number:,.0f} B"
