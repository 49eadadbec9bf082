"""Pictures of a data set that lies in a local folder."""

import errno
from pathlib import Path

from itrp.data.images import MAX_BYTES
from itrp.data.rejections import MissingImageError, RejectedError

_OF_THIS_FILE = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP)
"""What the file's name or rights are the reason for: no fault of the disk, so the other tweets go on."""


def read_image(path: Path) -> bytes:
    """The file's bytes, cut after the first byte over the limit: enough for the check to refuse it.

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
        reason = f"expected a picture that can be read at {str(path)[:600]!a}, found: {error.strerror}"
        raise RejectedError("image_missing", reason) from error
