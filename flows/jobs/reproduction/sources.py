"""The folder a reproduction starts from: an ITR layout and a Twitter100k layout in it, ingested as data sets."""

import csv
from dataclasses import dataclass
from pathlib import Path

from flows.jobs.ingestion.folders import FolderSource, fingerprint_files, ingest_folder
from flows.platform import Platform
from itrp.datasets.itr import ItrFolder
from itrp.datasets.twitter100k import Twitter100kFolder
from itrp.errors import WrongUseError

LABEL_COLUMNS = ("tweet_id", "text_is_represented", "image_adds", "image_adds_text_repr")
EXPECTED = (
    "a Twitter100k layout (text.txt and images/) and an ITR layout (a label file with the columns "
    f"{', '.join(LABEL_COLUMNS)}, …, and images/T<id>.jpg), each in the folder itself or in one below it"
)


@dataclass(frozen=True)
class Sources:
    """Names of the two ingested data sets."""

    unlabelled: str
    labelled: str


def ingest_sources(platform: Platform, folder: Path, *, flow_run_id: str | None = None) -> Sources:
    """Ingest both layouts; a second time does nothing. Raises WrongUseError when one is not there."""
    unlabelled = Twitter100kFolder(_find_twitter100k(folder))
    labels = _find_labels(folder)
    controversial, texts = labels.parent / "controversial_samples.txt", labels.parent / "texts.csv"
    labelled = ItrFolder(
        labels,
        labels.parent,
        controversial if controversial.exists() else None,
        texts if texts.exists() else None,
    )
    return Sources(_ingest(platform, unlabelled, flow_run_id), _ingest(platform, labelled, flow_run_id))


def _ingest(platform: Platform, source: FolderSource, flow_run_id: str | None) -> str:
    """The data set's name holds the source's hash, so that other files are another data set."""
    name = f"reproduce-{source.layout}-{fingerprint_files(source.source_files)[:8]}"
    ingest_folder(platform.store, platform.catalog, name, source, flow_run_id=flow_run_id)
    return name


def _find_twitter100k(folder: Path) -> Path:
    for place in _places(folder):
        if (place / "text.txt").is_file():
            return place
    raise WrongUseError(f"expected in {folder} {EXPECTED}; found no text.txt")


def _find_labels(folder: Path) -> Path:
    found = [path for place in _places(folder) for path in sorted(place.glob("*.csv")) if _is_label_file(path)]
    if not found:
        raise WrongUseError(f"expected in {folder} {EXPECTED}; found no such label file")
    if len(found) > 1:
        raise WrongUseError(
            f"expected one label file in {folder}, found {', '.join(map(str, found))}: move all but one away"
        )
    return found[0]


def _places(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise WrongUseError(f"expected a folder with {EXPECTED}; found no folder at {folder}")
    return [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]


def _is_label_file(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = next(csv.reader(file), [])
    return set(LABEL_COLUMNS) <= set(header)
