"""Why a record does not become a pair: the reasons of the quarantine, what repairs each, and the exceptions that say so."""

from itrp.errors import ItrpError

REASONS: dict[str, str] = {
    "batch_damaged": "the batch file's compressed data end too early or are broken",
    "record_not_json": "the line is not a tweet as a JSON object",
    "record_too_long": "the line is longer than any tweet can be",
    "id_missing": "the record has no id",
    "id_invalid": "the id is not 1 to 64 of the characters A-Z a-z 0-9 _ -",
    "id_rounded": "the ids of the whole batch lost their last digits in a spreadsheet or as floating-point numbers",
    "id_conflict": "the id is already stored with another text or image",
    "text_missing": "the record has no text",
    "text_empty": "the text is empty or only white space",
    "text_not_utf8": "the text is not UTF-8",
    "text_with_nul": "the text holds a NUL character",
    "text_too_long": "the text is longer than a tweet can be",
    "rating_invalid": "a person's rating is not a whole number from 1 to 4",
    "image_not_named": "the record names no image",
    "image_key_invalid": "the image's key leads out of the store",
    "image_missing": "no object exists at the image's key",
    "image_empty": "the image has zero bytes",
    "image_not_a_picture": "the object is not a JPEG, PNG, GIF or WebP",
    "image_truncated": "pixels of the image are missing: the file ends early, or in zeros",
    "image_too_large": "the image has more bytes or pixels than the limit, or takes too much memory to decode",
}
"""Every reason code of the quarantine and what it means."""

_RECORD = "correct the record in its file and upload the file again: ingestion reads it as a new one"

REMEDIES: dict[str, str] = {
    "batch_damaged": "upload the complete batch file again: the records before the damage are stored already",
    "record_not_json": f"each line must be one JSON object in UTF-8; {_RECORD}",
    "record_too_long": f"a line holds no more than one tweet: look for a lost line break; {_RECORD}",
    "id_missing": f"give the tweet its id in the field id; {_RECORD}",
    "id_invalid": "export the ids again as text (pandas: dtype=str; a spreadsheet: import the column as text): digits that were "
    f"rounded cannot be restored; {_RECORD}",
    "id_rounded": "export the ids again as text (JavaScript and JSON: id_str), and upload the batch under another name",
    "id_conflict": "the tweet stored first stays: if you want both, give this one another id; if it is an edit, leave it",
    "text_missing": f"give the tweet its text in the field text; {_RECORD}",
    "text_empty": "a tweet without words cannot be labelled: leave it, or collect its text again",
    "text_not_utf8": f"save the file as UTF-8; {_RECORD}",
    "text_with_nul": f"remove the NUL characters, often the trace of UTF-16 read as UTF-8; {_RECORD}",
    "text_too_long": f"look for a quote that was never closed, or several tweets in one text; {_RECORD}",
    "rating_invalid": "correct the rating in its table, or leave out the row, and ingest the folder under another name",
    "image_not_named": f"tweets without a photo get no label: leave it, or name its image; {_RECORD}",
    "image_key_invalid": f"name the image by its path below the bucket, or by its file; {_RECORD}",
    "image_missing": "upload the image to the place that the reason names",
    "image_empty": "download the image again: its file has no bytes",
    "image_not_a_picture": "download the image again as JPEG, PNG, GIF or WebP, not a video or an error page",
    "image_truncated": "download the image again: the transfer ended early",
    "image_too_large": "make the image smaller and upload it under the same key",
}
"""Reason code -> what repairs it."""

_UNKNOWN = "follow the reason"


class RejectedError(ItrpError):
    """A record that cannot become a pair.

    code: one of `REASONS`. reason: a sentence with what was expected and what was found.
    """

    def __init__(self, code: str, reason: str) -> None:
        if code not in REASONS:
            raise ValueError(f"expected one of the codes {sorted(REASONS)}, found {code!r}")
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class MissingImageError(ItrpError):
    """No object lies at the image's key."""


def find_remedy(code: str) -> str:
    """The remedy of a reason code, also of one that only a newer version knows."""
    return REMEDIES.get(code, _UNKNOWN)


def describe_reason(code: str) -> str:
    """What a reason code means."""
    return REASONS.get(code, "a reason that this version does not know")
