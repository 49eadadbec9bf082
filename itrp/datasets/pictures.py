"""Pictures of a data set that lies in a local folder."""

from pathlib import Path

from itrp.images import MAX_BYTES
from itrp.refusals import MissingPictureError


def read_picture(path: Path) -> bytes:
    """The file's bytes, cut after the first byte over the limit: enough for the check to refuse it.

    Raises MissingPictureError when there is no such file.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingPictureError(str(path)) from error
