"""The ITR data set (Vempala and Preotiuc-Pietro 2019): label file, images, corrections, texts."""

from collections.abc import Iterator
from pathlib import Path

from itrp.data.annotations import Annotations
from itrp.data.pairs import Candidate, Rejection
from itrp.data.rounded_ids import find_rounding
from itrp.data.validation import describe_id
from itrp.datasets.delimited import restore_bytes
from itrp.datasets.folders import find_contradictions, read_image
from itrp.datasets.itr_corrections import apply_corrections, check_truth, read_controversial
from itrp.datasets.itr_labels import ItrLabels, read_itr_labels
from itrp.datasets.itr_texts import read_itr_texts
from itrp.errors import AmbiguousTableError, DataError


class ItrFolder:
    """A label file and the folder of its images T<id>.jpg.

    labels: either published form. images: the folder with T<id>.jpg, or the one above its `images`.
    controversial: the relabelling list of Sun et al. 2023. texts: a CSV or JSONL file with tweet_id and
    tweet, needed for the form published today, which has no texts.
    Raises DataError when a file is missing or is not what it should be.
    """

    layout = "itr"

    def __init__(
        self, labels: Path, images: Path, controversial: Path | None = None, texts: Path | None = None
    ) -> None:
        self.label_path = labels
        self.images = images / "images" if (images / "images").is_dir() else images
        if not self.images.is_dir():
            raise DataError(f"expected the folder of ITR's images (T<id>.jpg) at {images}, found no folder")
        self.source_files = tuple(path for path in (labels, controversial, texts) if path is not None)
        """The files whose content makes this source what it is."""
        self.labels: ItrLabels = _read_labels(labels, texts)
        if rounding := find_rounding(self.labels.ids):
            raise DataError(f"{labels}: {rounding}")
        if not self.labels.has_texts:
            raise DataError(
                f"expected tweet texts, none in {labels}: today's public form has only ids and labels. "
                "Give a CSV or JSONL file with the columns tweet_id and tweet as the texts file"
            )
        self._annotations = _apply_list(self.labels, controversial)

    def candidates(self) -> Iterator[Candidate | Rejection]:
        """One record a row of the label file; `line` counts its rows from 1, without the header."""
        source = str(self.label_path)
        pairs = zip(self.labels.ids, self.labels.texts, strict=True)
        contradictions = find_contradictions(self._annotations)
        for row, (tweet_id, text) in enumerate(pairs, start=1):
            key = f"images/T{tweet_id}.jpg"
            if row - 1 in contradictions:
                yield Rejection(source, row, "id_conflict", contradictions[row - 1], describe_id(tweet_id), key)
                continue
            written = text if text is None else restore_bytes(text)
            yield Candidate(source, row, tweet_id, written, key)

    def read_image(self, key: str) -> bytes:
        """The bytes of images/T<id>.jpg. Raises MissingImageError when there is no such file."""
        return read_image(self.images / key.removeprefix("images/"))

    def annotations(self) -> Annotations:
        """Labels of all rows: row i belongs to the candidate with line i + 1."""
        return self._annotations


def _read_labels(path: Path, texts: Path | None) -> ItrLabels:
    """The label file, with the texts of the texts file where there is one. Raises DataError when these are of other tweets."""
    if texts is None:
        return read_itr_labels(path)
    try:
        labels = read_itr_labels(path)
    except AmbiguousTableError:  # its own texts are not needed
        labels = read_itr_labels(path, texts=False)
    found = read_itr_texts(texts)
    if found and not found.keys() & set(labels.ids):
        raise DataError(
            f"expected texts of the tweets in {path}, found in {texts} {len(found):,} others, such as {next(iter(found))[:40]}: "
            "give the texts file of this label file"
        )
    return labels.with_texts(found)


def _apply_list(labels: ItrLabels, path: Path | None) -> Annotations:
    if path is None:
        return apply_corrections(labels, ())
    return apply_corrections(labels, read_controversial(path), vouched=check_truth(path, labels))
