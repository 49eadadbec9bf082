"""What a person can do about each reason of the quarantine."""

from itrp.data.pairs import REASONS

_RECORD = "correct the record in its file and put the file there again: it is taken in as a new one"

REMEDIES: dict[str, str] = {
    "batch_damaged": "put the batch file there again whole: what stood before the damage is stored already",
    "record_not_json": f"each line must be one JSON object in UTF-8; {_RECORD}",
    "record_too_long": f"a line holds no more than one tweet: look for a lost line break; {_RECORD}",
    "id_missing": f"give the tweet its id in the field id; {_RECORD}",
    "id_invalid": "export the ids again as text (pandas: dtype=str; a spreadsheet: import the column as text): digits that were "
    f"rounded cannot be restored; {_RECORD}",
    "id_rounded": "export the ids again as text (JavaScript and JSON: id_str), and put the batch there under another name",
    "id_conflict": "the tweet stored first is kept: if both are wanted, give this one another id; if it is an edit, leave it",
    "text_missing": f"give the tweet its text in the field text; {_RECORD}",
    "text_empty": "a tweet without words cannot be labelled: leave it, or collect its text again",
    "text_not_utf8": f"save the file as UTF-8; {_RECORD}",
    "text_with_nul": f"remove the NUL characters, often the trace of UTF-16 read as UTF-8; {_RECORD}",
    "text_too_long": f"look for a quote that was never closed, or several tweets in one text; {_RECORD}",
    "image_not_named": f"tweets without a photo are not labelled: leave it, or name its picture; {_RECORD}",
    "image_key_invalid": f"name the picture by its path below the bucket, or by its file; {_RECORD}",
    "image_missing": "put the picture where the reason says",
    "image_empty": "load the picture again: its file has no bytes",
    "image_not_a_picture": "load the picture again as JPEG, PNG, GIF or WebP: videos and error pages are none",
    "image_truncated": "load the picture again: the transfer ended early",
    "image_too_large": "make the picture smaller and put it under the same key",
}
"""Reason code -> what mends it."""

_UNKNOWN = "see what the reason asks for"


def find_remedy(code: str) -> str:
    """The remedy of a reason code, also of one that only a newer version knows."""
    return REMEDIES.get(code, _UNKNOWN)


def describe_reason(code: str) -> str:
    """What a reason code means."""
    return REASONS.get(code, "a reason that this version does not know")
