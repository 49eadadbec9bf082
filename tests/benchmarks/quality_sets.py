"""The labelled sets that quality is measured on, and what is known of their labels."""

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flows.jobs.ingestion.run import run_ingestion
from flows.platform import Platform
from itrp.datasets.synthetic import write_itr_layout, write_twitter100k_layout
from itrp.labels import Task

UNLABELLED_NAME, LABELLED_NAME = "unlabelled", "labelled"
"""Names of the two data sets in each platform."""
UNLABELLED_TWEETS, LABELLED_TWEETS = 1_500, 1_000
"""Synthetic ones; half of the labelled are the train split."""
UNLABELLED_SEED, LABELLED_SEED = 1, 2


@dataclass(frozen=True)
class QualitySet:
    """A labelled set and the unlabelled one that models learn from."""

    name: str
    told: str
    """What it is, for a reader of the table."""
    labelled_by: str
    tasks: tuple[Task, ...] = (Task.TEXT,)
    layout: Literal["rated-captions", "captions-match"] | None = None
    """Of the folder that bears its name; None for tweets that are drawn here."""
    margins: Literal["natural", "matched"] = "natural"

    def is_there(self, data: Path) -> bool:
        """Whether what it takes lies in the folder of data sets."""
        needed = () if self.layout is None else (self.name, "captions_unlabelled")
        return all((data / name).is_dir() for name in needed)

    def ingest(self, platform: Platform, data: Path, scratch: Path) -> None:
        """Bring both data sets into a platform."""
        store, catalog = platform.store, platform.catalog
        if self.layout is not None:
            run_ingestion(store, catalog, "twitter100k", str(data / "captions_unlabelled"), UNLABELLED_NAME)
            run_ingestion(store, catalog, self.layout, str(data / self.name), LABELLED_NAME)
            return
        drawn = write_twitter100k_layout(scratch / "tweets", UNLABELLED_TWEETS, UNLABELLED_SEED, margins=self.margins)
        run_ingestion(store, catalog, "twitter100k", str(drawn), UNLABELLED_NAME)
        table = write_labelled_table(scratch / "labelled", LABELLED_TWEETS, self.margins)
        run_ingestion(store, catalog, "csv", str(table), LABELLED_NAME)
        shutil.rmtree(scratch)


SETS = (
    QualitySet("captions_rated", "photographs and captions, rated", "three people", layout="rated-captions"),
    QualitySet("captions_match", "photographs and captions, margins matched", "construction", layout="captions-match"),
    QualitySet("synthetic", "synthetic tweets", "rule", tasks=(Task.TEXT, Task.IMAGE)),
    QualitySet("synthetic_matched", "synthetic tweets, margins matched", "rule", margins="matched"),
)


def write_labelled_table(folder: Path, count: int, margins: Literal["natural", "matched"]) -> Path:
    """Draw labelled tweets and write them as a table with their true labels, the first half of them the train split.

    ITR's own layout has a fifth of the tweets in the test split and wrong labels among them. With matched margins, tweets that
    share a text or an image are four in a row, and stay in one split.
    """
    write_itr_layout(folder, count, LABELLED_SEED, margins=margins)
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        texts = {row["tweet_id"]: row["tweet"] for row in csv.DictReader(file, escapechar="\\", doublequote=False)}
    with (folder / "truth.csv").open(newline="", encoding="utf-8") as file:
        truths = [*csv.DictReader(file)]
    table = folder / "table.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("tweet_id", "text", "image", "text_is_represented", "image_adds", "split"))
        for row, truth in enumerate(truths):
            name = truth["tweet_id"]
            split = "train" if row < len(truths) // 2 else "test"
            labels = (truth["text_is_represented"], truth["image_adds"])
            writer.writerow((name, texts[name], f"images/T{name}.jpg", *labels, split))
    return table
