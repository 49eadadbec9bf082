"""Twitter100k's layout (Hu et al.): line i of text.txt belongs to images/<i>.jpg."""

from collections.abc import Iterator
from pathlib import Path

from itrp.annotations import Annotations
from itrp.datasets.lines import MAX_LINE_BYTES, iter_lines
from itrp.datasets.pictures import read_picture
from itrp.errors import DataError
from itrp.pairs import Candidate, Refusal


class Twitter100kFolder:
    """A folder with text.txt and images/, unlabelled; the id of a tweet is its line number.

    Raises DataError when either is missing.
    """

    layout = "twitter100k"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.label_path = path / "text.txt"
        """The file that says what the data set is."""
        for part, there in (("text.txt", self.label_path.is_file()), ("images/", (path / "images").is_dir())):
            if not there:
                raise DataError(
                    f"expected Twitter100k's layout (text.txt, images/1.jpg ...) in {path}, found no {part}: "
                    "give the folder that holds both"
                )

    @property
    def source_files(self) -> tuple[Path, ...]:
        """The files whose content makes this source what it is."""
        return (self.label_path,)

    def candidates(self) -> Iterator[Candidate | Refusal]:
        """One record a line; here a blank line is a tweet with an empty text, because its number counts."""
        source = str(self.label_path)
        with self.label_path.open("rb") as stream:
            for number, line in iter_lines(stream):
                key = f"images/{number}.jpg"
                if line is None:
                    reason = f"expected a line of at most {MAX_LINE_BYTES:,} bytes, found a longer one"
                    yield Refusal(source, number, "record_too_long", reason, str(number), key)
                else:
                    yield Candidate(source, number, str(number), _decode_text(line), key)

    def read_picture(self, key: str) -> bytes:
        """The picture's bytes. Raises MissingPictureError when there is no such file."""
        return read_picture(self.path / key)

    def annotations(self) -> Annotations | None:
        """None: nobody labelled these tweets."""
        return None


def _decode_text(line: bytes) -> str | bytes:
    """Bytes stay bytes where they are not UTF-8: the text check refuses that one line."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line
