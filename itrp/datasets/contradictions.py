"""Rows that label a tweet otherwise than an earlier row: a duplicate must not hide a second label."""

from itrp.data.annotations import Annotations
from itrp.labels import UNLABELLED


def find_contradictions(labels: Annotations) -> dict[int, str]:
    """0-based row -> why it is refused, of every row whose labels differ from the first row of its tweet.

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
