"""A tweet with its image: as a source offers it (candidate), as it is stored (pair), or why it is not (rejection)."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tweet as a source offers it, nothing checked yet except that its record could be read."""

    source: str
    """Key or path of the object the record stands in."""
    line: int
    """1-based number of the record in its source: its line or, where one line holds several, its place counted on."""
    id: object
    """What stands in the place of the id (any JSON value, None when there is none)."""
    text: object
    """What stands in the place of the text (any JSON value, None when there is none; bytes that are not UTF-8 stay bytes)."""
    image_key: str | None
    """Key or path of the image, resolved against the source; None when the record names none."""
    created_at: object = None
    lang: object = None
    other_keys: tuple[str, ...] = ()
    """Keys at which the image is looked for, in this order, when nothing lies at `image_key`."""
    former_texts: tuple[str, ...] = ()
    """What earlier versions took as this record's text: a tweet stored with one of them is this tweet."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A checked tweet: its text, and its image's bytes exactly as they came."""

    id: str
    text: str
    image: bytes
    image_path: str
    """File name of the image, for people."""
    created_at: datetime | None = None
    """Timezone-aware, UTC."""
    lang: str | None = None
    source: str = ""
    line: int = 0
    image_sha256: str = field(default="")
    former_texts: tuple[str, ...] = ()
    """What earlier versions took as this tweet's text."""
    time_unread: bool = False
    """Whether a time of creation was given that could not be read."""

    def __post_init__(self) -> None:
        if not self.image_sha256:
            object.__setattr__(self, "image_sha256", hashlib.sha256(self.image).hexdigest())

    @property
    def content_sha256(self) -> str:
        """Hash of what makes two records of one id the same tweet: text and image."""
        return self._hash_with(self.text)

    def is_content(self, content_sha256: str) -> bool:
        """Whether a stored content is this tweet's, as it is read now or as an earlier version read it."""
        texts = (self.text, *self.former_texts)
        return any(self._hash_with(text) == content_sha256 for text in texts)

    def _hash_with(self, text: str) -> str:
        digest = hashlib.sha256(text.encode())
        digest.update(bytes.fromhex(self.image_sha256))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a record did not become a pair: one row of the quarantine."""

    source: str
    line: int
    code: str
    """One of `itrp.data.rejections.REASONS`."""
    reason: str
    """A sentence a person can act on: what was found, what was expected."""
    id: str | None = None
    image_key: str | None = None
