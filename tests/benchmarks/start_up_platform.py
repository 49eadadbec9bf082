"""A platform where everything is done, in a process of its own: `python -m tests.benchmarks.start_up_platform WORK PAIRS`."""

import sys
from pathlib import Path

from flows.jobs.ingestion import ingest_landing
from tests.benchmarks.landing import fill_landing
from tests.benchmarks.platforms import make_platform
from tests.scoring import find_work, pin_scorer


def main() -> None:
    """Champions registered, tweets ingested and labelled."""
    work, pairs = Path(sys.argv[1]), int(sys.argv[2])
    platform = make_platform(work)
    fill_landing(platform, pairs)
    ingest_landing(platform.store, platform.catalog)
    scorer = pin_scorer(platform)
    for shard in find_work(platform.catalog, scorer.pair, backfill=False):
        scorer.score(shard)


if __name__ == "__main__":
    main()
