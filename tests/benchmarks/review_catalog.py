"""How quick are a review's views and queues with a million tweets? On SQLite and PostgreSQL, beside a plain indexed SELECT.

    python -m tests.benchmarks.review_catalog                     # some 4 GB in the temporary folder, many minutes
    python -m tests.benchmarks.review_catalog --tweets 20000      # not recorded under the name of the target
    python -m tests.benchmarks.review_catalog --database sqlite --keep FOLDER

Made-up tweets of 12 words, whose frequencies fall as those of a language do; two pairs of models that agree in 95 % of them;
10,000 tweets of the random queue labelled by two people in both tasks, who disagree in 8 %. Everything enters by the code that
`update_index` enters it with. What is timed is a whole view: its page of 50 tweets with texts and labels, or its count.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from infra.catalog.annotations import AnnotationFilter
from infra.catalog.browse import (
    Human,
    Order,
    TweetFilter,
    browse,
    count_tweets,
    get_tweet,
    list_languages,
    list_pairs,
)
from infra.catalog.current_labels import count_work, current_labels, settled_labels, waiting_decisions
from infra.catalog.database import Catalog, open_catalog
from infra.catalog.queues import count_waiting, next_tweets
from infra.catalog.review_tables import Queue
from infra.stack.postgres import make_postgres
from serving.review.held_labels import HeldLabels
from tests.benchmarks.record import Row, format_table, record
from tests.benchmarks.review_tweets import LANGUAGES, Filled, fill
from tests.benchmarks.targets import REVIEW_VIEWS
from tests.benchmarks.timing import Timing, time_in_turns
from tests.ports import free_ports

TWEETS = 1_000_000
REPEATS = 50
PAGE = 50
SECONDS = 0.2
ONCE = "once after somebody has labelled"
"""What Home, Agree and How good read then, and keep: no view by itself."""
PLAIN = "plain: SELECT … ORDER BY created_us DESC LIMIT 50"

View = Callable[[Session], object]


@dataclass(frozen=True)
class Measured:
    """One database."""

    database: str
    fill_seconds: float
    views: Mapping[str, Timing]


def main() -> None:
    """Fill, measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tweets", type=int, default=TWEETS)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--keep", type=Path, help="where the databases stay; one that is filled is used as it is")
    arguments = parser.parse_args()
    rows = []
    for database in arguments.database or ["sqlite", "postgresql"]:
        with opened(database, arguments.keep) as url:
            found = measure(database, url, arguments.tweets, arguments.repeats)
        print(format_views(found), flush=True)
        rows.append(judge(found, arguments.tweets, arguments.repeats))
    record(rows, "review_catalog")


@contextmanager
def opened(database: str, keep: Path | None) -> Iterator[str]:
    """URL of a database of this kind."""
    with tempfile.TemporaryDirectory(prefix="review-") as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(exist_ok=True, parents=True)
        if database == "sqlite":
            yield f"sqlite:///{folder}/catalog.db"
            return
        folder.chmod(0o755)  # where root measures, PostgreSQL is another user
        (port,) = free_ports(1)
        service = make_postgres(folder / "postgres", port, "benchmark", folder / "postgres.log", ["-F"])
        service.start()
        try:
            yield f"postgresql://postgres:benchmark@127.0.0.1:{port}/postgres"
        finally:
            service.stop()


def measure(database: str, url: str, tweets: int, repeats: int) -> Measured:
    """Fill the catalog and time every view, each in a transaction of its own."""
    catalog = open_catalog(url)
    began = time.perf_counter()
    filled = fill(catalog, tweets)
    if database == "postgresql":
        _vacuum(url)
    seconds = time.perf_counter() - began

    def run(view: View) -> None:
        with catalog.session() as session:
            view(session)

    views = {name: partial(run, view) for name, view in list_views(catalog, filled).items()}
    time_in_turns(views, 2)
    timings = time_in_turns(views, repeats)
    catalog.dispose()
    return Measured(database, seconds, timings)


def _vacuum(url: str) -> None:
    """What PostgreSQL does by itself within minutes of much having been entered: so that an index alone may answer."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()


def list_views(catalog: Catalog, filled: Filled) -> dict[str, View]:
    """What people ask for, by name."""
    everything = TweetFilter(dataset_id=filled.dataset_id)
    return {
        PLAIN: partial(_select_plainly, filled.dataset_id),
        **_pages(everything, "no models"),
        **_pages(replace(everything, pair_id=filled.first), "a pair"),
        **_label_views(replace(everything, pair_id=filled.first), catalog),
        **_people_views(replace(everything, pair_id=filled.first), filled),
        **_queue_views(filled),
    }


def _select_plainly(dataset_id: int, session: Session) -> None:
    query = "SELECT * FROM indexed_tweet WHERE dataset_id = :dataset ORDER BY created_us DESC, id DESC LIMIT :limit"
    session.execute(text(query), {"dataset": dataset_id, "limit": PAGE}).all()


def _page(wanted: TweetFilter, order: Order = Order.NEWEST, **place: str | None) -> View:
    return lambda session: browse(
        session, wanted, order, seed=7, limit=PAGE, after=place.get("after"), before=place.get("before")
    )


def _pages(wanted: TweetFilter, of: str) -> dict[str, View]:
    summer = replace(wanted, since=datetime(2025, 6, 1, tzinfo=UTC), until=datetime(2025, 7, 1, tzinfo=UTC))
    rare = LANGUAGES[-1]
    return {
        f"{of}: newest": _page(wanted),
        f"{of}: random": _page(wanted, Order.RANDOM),
        f"{of}: one language of 60 %": _page(replace(wanted, lang="en")),
        f"{of}: one language of 0.05 %": _page(replace(wanted, lang=rare)),
        f"{of}: one language of 0.05 %, random": _page(replace(wanted, lang=rare), Order.RANDOM),
        f"{of}: a language that none has": _page(replace(wanted, lang="xx")),
        f"{of}: a month": _page(summer),
        f"{of}: a month, random": _page(summer, Order.RANDOM),
        f"{of}: a word of nearly every tweet": _page(replace(wanted, words="w0")),
        f"{of}: a word of 1 in 2": _page(replace(wanted, words="w3"), Order.RANDOM),
        f"{of}: a word of 1 in 20": _page(replace(wanted, words="w20"), Order.RANDOM),
        f"{of}: a word of 1 in 10,000": _page(replace(wanted, words="w757"), Order.RANDOM),
        f"{of}: a frequent and a rare word": _page(replace(wanted, words="w0 w5000")),
        f"{of}: a frequent word in a language of 0.05 %": _page(replace(wanted, words="w0", lang=rare)),
        f"{of}: count all": lambda session: count_tweets(session, wanted),
        f"{of}: count a language of 0.05 %": lambda session: count_tweets(session, replace(wanted, lang=rare)),
        f"{of}: count a word of 1 in 20": lambda session: count_tweets(session, replace(wanted, words="w20")),
    }


def _label_views(wanted: TweetFilter, catalog: Catalog) -> dict[str, View]:
    one, narrow = frozenset({2}), (0.9, 0.91)
    with catalog.session() as session:
        middle = replace(wanted, until=datetime(2025, 6, 1, tzinfo=UTC))
        deep = browse(session, middle, limit=PAGE).next
    return {
        "a pair: least certain": _page(wanted, Order.LEAST_CERTAIN),
        "a pair: the page behind 475,000 tweets": _page(wanted, after=deep),
        "a pair: the page before it": _page(wanted, before=deep),
        "a pair: a relation": _page(replace(wanted, relations=one)),
        "a pair: a relation, random": _page(replace(wanted, relations=one), Order.RANDOM),
        "a pair: both probabilities between 0.90 and 0.91": _page(
            replace(wanted, text_probability=narrow, image_probability=narrow), Order.RANDOM
        ),
        "a pair: certain ones, newest": _page(replace(wanted, least_certainty=0.45)),
        "a pair: a relation, a language of 1 %, a probability, a month": _page(
            replace(
                wanted, relations=one, lang=LANGUAGES[12], text_probability=(0.5, 0.7),
                since=datetime(2025, 6, 1, tzinfo=UTC), until=datetime(2025, 7, 1, tzinfo=UTC),
            ),
            Order.RANDOM,
        ),
        "a pair: count a relation with a probability": lambda session: count_tweets(
            session, replace(wanted, relations=one, text_probability=narrow)
        ),
    }  # fmt: skip


def _people_views(wanted: TweetFilter, filled: Filled) -> dict[str, View]:
    labels, held = AnnotationFilter(dataset_id=filled.dataset_id), HeldLabels()
    return {
        "people: labelled": _page(replace(wanted, human=Human.LABELLED)),
        "people: labelled, random": _page(replace(wanted, human=Human.LABELLED), Order.RANDOM),
        "people: not labelled, random": _page(replace(wanted, human=Human.UNLABELLED), Order.RANDOM),
        "people: disagreements": _page(replace(wanted, human=Human.DISAGREEMENT)),
        "people: disagreements that wait": lambda session: waiting_decisions(session, filled.dataset_id),
        f"{ONCE}: all labels": lambda session: current_labels(session, labels),
        f"{ONCE}: what random labels say": lambda session: settled_labels(session, labels, random=True),
        "people: all labels, nobody has labelled since": lambda session: held.read(session, filled.dataset_id),
        "people: who did what": lambda session: count_work(session, filled.dataset_id),
        "one tweet": lambda session: get_tweet(session, filled.dataset_id, "500000", filled.first),
        "pairs": lambda session: list_pairs(session, filled.dataset_id),
        "languages": lambda session: list_languages(session, filled.dataset_id),
    }


def _queue_views(filled: Filled) -> dict[str, View]:
    views: dict[str, View] = {}
    for queue in (Queue.RANDOM, Queue.LEAST_CERTAIN, Queue.DISAGREE, Queue.CLUSTERS, Queue.ERRORS):
        for person, people in (("anna", 2), ("zoe", 2)):
            name = f"queue {queue} for one who has labelled {'10,000' if person == 'anna' else 'none'}"
            views[name] = partial(_ask, queue, filled, person, people)
        views[f"queue {queue}: count"] = partial(_count, queue, filled)
    return views


def _ask(queue: Queue, filled: Filled, person: str, people: int, session: Session) -> None:
    next_tweets(session, queue, filled.dataset_id, person, people=people)


def _count(queue: Queue, filled: Filled, session: Session) -> None:
    count_waiting(session, queue, filled.dataset_id, "anna", people=2, cap=100)


def format_views(found: Measured) -> str:
    """Every view's median and slowest call in milliseconds, as a Markdown table."""
    plain = found.views[PLAIN].seconds
    body = [
        (name, f"{1e3 * timing.seconds:.1f}", f"{1e3 * max(timing.wall):.1f}", f"{timing.seconds / plain:.0f}x")
        for name, timing in found.views.items()
    ]
    return format_table(
        [(f"{found.database}, filled in {found.fill_seconds:.0f} s", "median ms", "slowest ms", "plain"), *body]
    )


def judge(found: Measured, tweets: int, repeats: int) -> Row:
    """The slowest view's median against the promise."""
    medians = {name: timing.seconds for name, timing in found.views.items()}
    views = [name for name in medians if not name.startswith(ONCE)]
    slowest = max(views, key=medians.__getitem__)
    return Row(
        what=f"{REVIEW_VIEWS}: {found.database}"
        if tweets == TWEETS
        else f"review of {tweets} tweets: {found.database}",
        how=f"{len(views) - 1} views and queues, median of {repeats}",
        target=f"every view <= {SECONDS} s",
        measured=f"slowest {1e3 * medians[slowest]:.0f} ms ({slowest})",
        peer=f"plain indexed SELECT {1e3 * medians[PLAIN]:.1f} ms",
        note=f"filled in {found.fill_seconds:.0f} s",
        figures={"fill": found.fill_seconds, **medians},
        met=medians[slowest] <= SECONDS,
    )


if __name__ == "__main__":
    main()
