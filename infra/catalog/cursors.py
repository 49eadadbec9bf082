"""Cursors: the place of a tweet in a view, as a string that may stand in an address."""

import base64
import json
import math
from typing import Any, NamedTuple

from infra.errors import ReviewError


class Place(NamedTuple):
    """Where a tweet stands in an order."""

    key: float
    """Its value of the column that the order sorts by."""
    tweet: int
    """`IndexedTweet.id`, which tells tweets with one key apart."""


def write_cursor(view: str, place: Place) -> str:
    """A place in the order that `view` names, in letters, digits, "-" and "_"."""
    return base64.urlsafe_b64encode(json.dumps([view, *place]).encode()).decode().rstrip("=")


def read_cursor(view: str, cursor: str) -> Place:
    """The place that a cursor holds. Raises ReviewError for a cursor of another view, a damaged one, or none of ours."""
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError:  # no base64, no UTF-8, no JSON
        found = None
    if not isinstance(found, list) or len(found) != 3 or not (_is_key(found[1]) and _is_id(found[2])):
        raise ReviewError(
            f"expected a cursor that a page of this view gave, found {cursor[:40]!r}: begin at the first page"
        )
    if found[0] != view:
        raise ReviewError("expected a cursor of this view, found one of another order or seed: begin at the first page")
    return Place(found[1], found[2])


def _is_key(found: Any) -> bool:
    number = isinstance(found, int | float) and not isinstance(found, bool)
    return number and math.isfinite(found) and abs(found) < 2**63


def _is_id(found: Any) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 2**31
