"""When a tweet was written: the forms in which APIs, scrapers and tables tell it."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

_TWITTER_TIME = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d\d?) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d) (\d{4})")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 100_000_000_000
"""Epoch figures from here on are milliseconds: as seconds they would lie beyond the year 5138."""
_MAIL_TIME = re.compile(
    r"(?:[A-Z][a-z]{2},\s+)?(\d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d(?::\d\d)?) ([+-]\d{4}|UTC|GMT|UT|Z)"
)
_PAGE_TIME = re.compile(r"(\d\d?):(\d\d) ([AP]M) · ([A-Z][a-z]{2}) (\d\d?), (\d{4})(?: UTC)?")
_MIRROR_TIME = re.compile(r"([A-Z][a-z]{2}) (\d\d?), (\d{4}) · (\d\d?):(\d\d) ([AP]M)(?: UTC)?")
_ZULU = re.compile(r"\s*(?:UTC|GMT|Z)$")


def is_given(value: object) -> bool:
    """Whether a record tells a time at all, readable or not."""
    return value is not None and value != ""


def parse_time(value: object) -> datetime | None:
    """Time of a tweet in UTC; None for what cannot be read: a tweet is not rejected for its time, it is counted.

    Read are ISO 8601, RFC 2822, "Wed Oct 10 20:19:24 +0000 2018" of X's API, "9:59 AM · Sep 9, 2012" of its pages, and
    epoch (milli)seconds. A time without a zone is taken as UTC. Not guessed are zones by their letters (EST and CET say
    nothing of summer) and "11/12/2016", which is two days.
    """
    try:
        if isinstance(value, str):
            return _parse_written_time(" ".join(value.split()))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _parse_epoch(value)
    except (ValueError, OverflowError):
        return None
    return None


def _parse_written_time(text: str) -> datetime | None:
    if re.fullmatch(r"\d{9,14}(\.\d+)?", text):
        return _parse_epoch(float(text) if "." in text else int(text))
    if match := _TWITTER_TIME.fullmatch(text):
        return _read_twitter_time(match)
    if match := _MAIL_TIME.fullmatch(text):
        zone = match[2] if match[2][0] in "+-" else "+0000"
        # -0000 means UTC of an unknown place, which the parser gives without a zone.
        return _in_utc(parsedate_to_datetime(f"{match[1]} {zone}"))
    if match := _PAGE_TIME.fullmatch(text):
        hour, minute, half, month, day, year = match.groups()
        return _read_page_time(year, month, day, hour, minute, half)
    if match := _MIRROR_TIME.fullmatch(text):
        return _read_page_time(match[3], match[1], match[2], *match.groups()[3:])
    return _in_utc(datetime.fromisoformat(_ZULU.sub("+00:00", text)))


def _in_utc(moment: datetime) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _read_twitter_time(match: re.Match[str]) -> datetime:
    # Not strptime: its names of months follow the machine's language.
    month, day, hour, minute, second, sign, zone_hours, zone_minutes, year = match.groups()
    offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes)) * (1 if sign == "+" else -1)
    local = (int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))
    return datetime(*local, tzinfo=timezone(offset)).astimezone(UTC)


def _read_page_time(year: str, month: str, day: str, hour: str, minute: str, half: str) -> datetime:
    if not 1 <= int(hour) <= 12:
        raise ValueError(f"expected an hour of 1 to 12, found {hour}")
    hours = int(hour) % 12 + (12 if half == "PM" else 0)
    return datetime(int(year), _MONTHS.index(month) + 1, int(day), hours, int(minute), tzinfo=UTC)


def _parse_epoch(value: float) -> datetime | None:
    if not math.isfinite(value):
        return None
    if abs(value) >= _MILLISECONDS_FROM:
        return _EPOCH + timedelta(milliseconds=value)
    return _EPOCH + timedelta(seconds=value)
