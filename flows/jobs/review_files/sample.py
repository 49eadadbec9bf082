"""Tweets drawn for a person to label in a spreadsheet: a table, small pictures, and a page of guidelines."""

import csv
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from flows.jobs.datasets import LANDING, find_data
from flows.jobs.review_files.pictures import PictureFolder, read_places
from flows.jobs.review_files.rendering import render
from flows.jobs.review_files.sample_readme import write_readme
from flows.platform import Platform
from flows.tracking.provenance import find_person
from infra.catalog.browse import BrowsedTweet
from infra.catalog.queues import next_tweets
from infra.catalog.review_tables import Queue
from itrp.errors import WrongUseError
from itrp.files import place_folder
from itrp.labels import GUIDELINE_VERSION
from itrp.progress import Progress, count_stage, ignore_progress
from serving.review.tweet_index import update_index

TABLE, README, PAGE, PICTURES = "tweets.csv", "README.txt", "tweets.html", "pictures"
MOST = 5000
"""Rows that a person can be asked to fill in, and pictures that one folder shows."""
LONGEST = 800
"""Longest side of a picture, in pixels."""
COLUMNS = (
    "nr", "id", "picture", "text", "text_is_represented", "image_adds", "note", "created_at", "lang", "queue", "guidelines",
)  # fmt: skip
"""Of the table. The answers are empty; no model's label is shown."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""


@dataclass(frozen=True)
class SampleReport:
    """What was drawn."""

    folder: str
    data: str
    queue: str
    person: str
    tweets: int
    without_picture: int
    """Whose picture cannot be decoded."""

    def __str__(self) -> str:
        """For people."""
        lost = f", {self.without_picture} of them without a picture that can be shown" if self.without_picture else ""
        table = Path(self.folder) / TABLE
        command = shlex.join(["itrp", "import-labels", str(table), "--data", self.data, "--person", self.person])
        return (
            f"{self.tweets} tweets of {self.data} (queue {self.queue}) for {self.person} in {self.folder}{lost}\n"
            f"next: look at {Path(self.folder) / PAGE}, fill in text_is_represented and image_adds of {table}, save it as CSV\n"
            f"  {command}"
        )


def draw_sample(
    platform: Platform,
    number: int,
    queue: str,
    folder: Path,
    *,
    data: str | None = None,
    person: str | None = None,
    people: int = 1,
    progress: Progress = ignore_progress,
) -> SampleReport:
    """Write the next tweets of a queue for a person, none that she has answered: all of them, or nothing.

    folder: a new or empty one. people: tweets with so many answers by others are left out. Raises WrongUseError for a folder
    with files and a number that cannot be, NotFoundError without such tweets or data, ReviewError as `next_tweets` does.
    """
    check_sample(number, folder)
    person, known = person or find_person(), find_data(platform.catalog, data or LANDING)
    update_index(platform.catalog, platform.store, progress, dataset=known.dataset.name)
    with platform.catalog.session() as session:
        tweets = next_tweets(session, Queue(queue), known.dataset.id, person, people=people, limit=number)
    if not tweets:
        raise WrongUseError(
            f"the queue {queue} holds no tweet of {known.dataset.name!r} for {person}: all are answered, or none is in it"
        )
    with _new_folder(folder) as draft:
        lost = _write_table(platform, draft, known.dataset.name, queue, tweets, progress)
        write_readme(draft / README, queue, len(tweets), known.dataset.name, person)
    return SampleReport(str(folder), known.dataset.name, queue, person, len(tweets), lost)


def check_sample(number: int, folder: Path) -> None:
    """Raises WrongUseError for what cannot be drawn, or not there."""
    if not 1 <= number <= MOST:
        raise WrongUseError(f"expected 1 to {MOST} tweets, found {number}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WrongUseError(f"expected a new or empty folder, found {folder}: name another")


def _write_table(
    platform: Platform, folder: Path, data: str, queue: str, tweets: Sequence[BrowsedTweet], progress: Progress
) -> int:
    """Table, page and pictures; the number of pictures that cannot be shown."""
    pictures = PictureFolder(folder / PICTURES, LONGEST)
    count, written = count_stage(progress, "pictures written", len(tweets)), dict[tuple[str, int], str]()
    places = [(tweet.shard_key, tweet.row) for tweet in tweets]
    for place, cells in read_places(platform.store, platform.settings.cache_dir, places):
        path = pictures.write(cells["id"], cells["image"])
        written[place] = f"{PICTURES}/{path.name}" if path else ""
        count(1)
    # the mark at the beginning makes a spreadsheet read UTF-8
    with (folder / TABLE).open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for number, tweet in enumerate(tweets, start=1):
            table.writerow(_make_row(number, tweet, written[tweet.shard_key, tweet.row], queue))
    _write_page(folder / PAGE, data, tweets, written)
    return sum(not name for name in written.values())


def _write_page(path: Path, data: str, tweets: Sequence[BrowsedTweet], written: Mapping[tuple[str, int], str]) -> None:
    """Texts beside pictures, in the table's order: a spreadsheet shows no picture."""
    shown = [
        {"number": number, "text": tweet.text, "picture": written[tweet.shard_key, tweet.row]}
        for number, tweet in enumerate(tweets, start=1)
    ]
    path.write_text(render("sample.html.jinja", data=data, tweets=shown), encoding="utf-8", errors="replace")


def _make_row(number: int, tweet: BrowsedTweet, picture: str, queue: str) -> list[str]:
    written = tweet.created_at.strftime("%Y-%m-%d %H:%M") if tweet.created_at else ""
    return [
        str(number), keep_digits(tweet.tweet_id), picture or "(cannot be shown)", disarm(tweet.text), "", "", "", written,
        tweet.lang or "",
        queue, GUIDELINE_VERSION,
    ]  # fmt: skip


def keep_digits(tweet_id: str) -> str:
    """An id that a spreadsheet does not take for a number: it would round it."""
    return f'="{tweet_id}"' if tweet_id.isdecimal() else tweet_id


def disarm(text: str) -> str:
    """A stranger's text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A draft beside the folder, which takes its place when the block ends."""
    draft = folder.with_name(f".{folder.name}.{uuid4().hex}.draft")
    draft.mkdir(parents=True)
    try:
        yield draft
        if folder.exists():
            folder.rmdir()  # empty: checked before
        place_folder(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
