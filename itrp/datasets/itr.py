"""The ITR data set (Vempala and Preotiuc-Pietro 2019): label file, pictures, corrections, texts."""

from collections.abc import Iterator
from pathlib import Path

from itrp.annotations import Annotations
from itrp.datasets.itr_corrections import apply_corrections, read_controversial
from itrp.datasets.itr_labels import ItrLabels, read_itr_labels, read_texts
from itrp.datasets.pictures import read_picture
from itrp.errors import DataError
from itrp.pairs import Candidate


class ItrFolder:
    """A label file and the folder of its pictures T<id>.jpg.

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
            raise DataError(f"expected the folder of ITR's pictures (T<id>.jpg) at {images}, found no folder")
        self.source_files = tuple(path for path in (labels, controversial, texts) if path is not None)
        """The files whose content makes this source what it is."""
        self.labels: ItrLabels = read_itr_labels(labels)
        if texts is not None:
            self.labels = self.labels.with_texts(read_texts(texts))
        if not self.labels.has_texts:
            raise DataError(
                f"expected tweet texts, none in {labels}: today's public form has only ids and labels. "
                "Give a CSV or JSONL file with the columns tweet_id and tweet as the texts file"
            )
        corrections = read_controversial(controversial) if controversial is not None else ()
        self._annotations = apply_corrections(self.labels, corrections)

    def candidates(self) -> Iterator[Candidate]:
        """One record a row of the label file; `line` counts its rows from 1, without the header."""
        source = str(self.label_path)
        pairs = zip(self.labels.ids, self.labels.texts, strict=True)
        for row, (tweet_id, text) in enumerate(pairs, start=1):
            yield Candidate(source, row, tweet_id, text, f"images/T{tweet_id}.jpg")

    def read_picture(self, key: str) -> bytes:
        """The bytes of images/T<id>.jpg. Raises MissingPictureError when there is no such file."""
        return read_picture(self.images / key.removeprefix("images/"))

    def annotations(self) -> Annotations:
        """Labels of all rows: row i belongs to the candidate with line i + 1."""
        return self._annotations
