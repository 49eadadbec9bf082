"""Twitter100k's layout (Hu et al.): line i of text.txt belongs to images/<i>.jpg."""

import re
from collections.abc import Iterator
from pathlib import Path

from itrp.data.annotations import Annotations
from itrp.data.pairs import Candidate, Rejection
from itrp.datasets.broken_lines import describe_broken_lines
from itrp.datasets.folders import read_image
from itrp.datasets.lines import MAX_LINE_BYTES, iter_lines
from itrp.errors import DataError

_IMAGE = re.compile(r"(0|[1-9]\d*)\.jpg")
_MARK = b"\xef\xbb\xbf"


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

    def check_counts(self) -> None:
        """Whether the last line belongs to the last image: one line too many moves all texts after it to other images.

        Images in between may be missing, and blank lines may follow the last image. Without any image nothing can
        be given a wrong one. Raises DataError that names the lines that look broken.
        """
        numbers = self._list_images()
        if not numbers:
            return
        lines = [*self._read_lines()]
        filled = max((number for number, line in enumerate(lines, start=1) if line is None or line.strip()), default=0)
        last = max(numbers)
        if filled <= last <= len(lines) and 0 not in numbers:
            return
        found = f"{filled:,} lines for {len(numbers):,} images, the last of them images/{last}.jpg"
        raise DataError(
            f"expected line i of {self.label_path} to belong to images/<i>.jpg, found {found}: "
            f"{self._explain(lines, numbers, filled)}. Nothing was stored"
        )

    def candidates(self) -> Iterator[Candidate | Rejection]:
        """One record a line; here a blank line is a tweet with an empty text, because its number counts.

        Raises DataError before the first one when lines and images do not belong together.
        """
        self.check_counts()
        source = str(self.label_path)
        for number, line in enumerate(self._read_lines(), start=1):
            key = f"images/{number}.jpg"
            if line is None:
                reason = f"expected a line of at most {MAX_LINE_BYTES:,} bytes, found a longer one"
                yield Rejection(source, number, "record_too_long", reason, str(number), key)
            else:
                yield Candidate(source, number, str(number), _decode_text(line), key)

    def read_image(self, key: str) -> bytes:
        """The image's bytes. Raises MissingImageError when there is no such file."""
        return read_image(self.path / key)

    def annotations(self) -> Annotations | None:
        """None: nobody labelled these tweets."""
        return None

    def _list_images(self) -> set[int]:
        matches = (_IMAGE.fullmatch(path.name) for path in (self.path / "images").iterdir())
        return {int(match[1]) for match in matches if match}

    def _read_lines(self) -> Iterator[bytes | None]:
        """Raises DataError for UTF-16, whose lines end elsewhere."""
        with self.label_path.open("rb") as stream:
            if stream.read(2) in (b"\xff\xfe", b"\xfe\xff"):
                raise DataError(f"expected UTF-8 in {self.label_path}, found UTF-16: save it as UTF-8")
            stream.seek(0)
            for number, line in iter_lines(stream):
                yield line.removeprefix(_MARK) if line is not None and number == 1 else line

    def _explain(self, lines: list[bytes | None], numbers: set[int], filled: int) -> str:
        if 0 in numbers:
            return "images are numbered from 1 on, so rename images/0.jpg and all after it"
        if filled > max(numbers):
            return (
                f"{describe_broken_lines(lines[:filled])}; put a text that holds a line break on one line, or remove the "
                "lines at the end whose images are missing"
            )
        longest = max(range(len(lines)), key=lambda place: len(lines[place] or b""), default=-1) + 1
        return (
            "a text was lost, or two stand on one line"
            + (f" (line {longest} is the longest)" if longest else "")
            + "; give each image its line, an empty one where it has no text"
        )


def _decode_text(line: bytes) -> str | bytes:
    """Bytes stay bytes where they are not UTF-8: the text check rejects that one line."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line
