"""What readers of local folders share: an image's bytes, and rows that label one tweet in two ways."""

import errno
from pathlib import Path

from itrp.data.annotations import Annotations
from itrp.data.images import MAX_BYTES
from itrp.data.rejections import MissingImageError, RejectedError
from itrp.labels import UNLABELLED

_OF_THIS_FILE = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP)
"""What the file's name or rights are the reason for: no fault of the disk, so the other tweets go on."""


def read_image(path: Path) -> bytes:
    """The file's bytes, cut after the first byte over the limit: enough for the check to reject it.

    Raises MissingImageError when there is no such file (a folder, pipe or device is none), RejectedError when it cannot
    be read.
    """
    try:
        if not path.is_file():
            raise MissingImageError(str(path))
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingImageError(str(path)) from error
    except OSError as error:
        if error.errno not in _OF_THIS_FILE:
            raise
        reason = f"expected a readable image at {str(path)[:600]!a}, found: {error.strerror}"
        raise RejectedError("image_missing", reason) from error


def find_contradictions(labels: Annotations) -> dict[int, str]:
    """0-based row -> why it is rejected, of every row whose labels differ from the first row of its tweet.

    A label that is missing in one of the two contradicts nothing.
    """
    first: dict[str, int] = {}
    found: dict[int, str] = {}
    for row, tweet_id in enumerate(labels.ids.tolist()):
        earlier = first.setdefault(tweet_id, row)
        for name, values in (("text_is_represented", labels.text), ("image_adds", labels.image)):
            known, here = values[earlier], values[row]
            if tweet_id and known != here and UNLABELLED not in (known, here):
                found[row] = (
                    f"expected one label {name} a tweet, found {here} in row {row + 1} after {known} in row {earlier + 1}: "
                    "keep the right one of them"
                )
                break
    return found
