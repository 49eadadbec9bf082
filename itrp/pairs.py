"""A tweet with its picture: as a source offers it (candidate), as it is stored (pair), or why it is not (refusal)."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tweet as a source offers it, nothing checked yet except that its record could be read."""

    source: str
    """Key or path of the object the record stands in."""
    line: int
    """1-based number of the record in its source."""
    id: object
    """What stands in the place of the id (any JSON value, None when there is none)."""
    text: object
    """What stands in the place of the text (any JSON value, None when there is none; bytes that are not UTF-8 stay bytes)."""
    image_key: str | None
    """Key or path of the picture, resolved against the source; None when the record names none."""
    created_at: object = None
    lang: object = None


@dataclass(frozen=True, slots=True)
class Pair:
    """A checked tweet: its text, and its picture's bytes exactly as they came."""

    id: str
    text: str
    image: bytes
    image_path: str
    """File name of the picture, for people."""
    created_at: datetime | None = None
    """Timezone-aware, UTC."""
    lang: str | None = None
    source: str = ""
    line: int = 0
    image_sha256: str = field(default="")

    def __post_init__(self) -> None:
        if not self.image_sha256:
            object.__setattr__(self, "image_sha256", hashlib.sha256(self.image).hexdigest())

    @property
    def content_sha256(self) -> str:
        """Hash of what makes two records of one id the same tweet: text and picture."""
        digest = hashlib.sha256(self.text.encode())
        digest.update(bytes.fromhex(self.image_sha256))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record did not become a pair: one row of the quarantine."""

    source: str
    line: int
    code: str
    """One of `itrp.pairs.REASONS`."""
    reason: str
    """A sentence a person can act on: what was found, what was expected."""
    id: str | None = None
    image_key: str | None = None


REASONS: dict[str, str] = {
    "record_not_json": "the line is not one JSON object",
    "record_too_long": "the line is longer than any tweet can be",
    "id_missing": "the record has no id",
    "id_invalid": "the id is not 1 to 64 of the characters A-Z a-z 0-9 _ -",
    "id_conflict": "the id is already stored with another text or picture",
    "text_missing": "the record has no text",
    "text_empty": "the text is empty or only white space",
    "text_not_utf8": "the text is not UTF-8",
    "text_with_nul": "the text holds a NUL character",
    "text_too_long": "the text is longer than a tweet can be",
    "image_not_named": "the record names no picture",
    "image_key_invalid": "the picture's key leads out of the store",
    "image_missing": "no object lies at the picture's key",
    "image_empty": "the picture has zero bytes",
    "image_not_a_picture": "the object is not a JPEG, PNG, GIF or WebP",
    "image_truncated": "the picture ends before its last line",
    "image_too_large": "the picture has more bytes or pixels than the limit",
}
"""Every reason code of the quarantine and what it means."""
