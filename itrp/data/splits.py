"""Which half of a labelled set teaches and which one measures, where nobody has said it."""

from hashlib import sha256


def assign_split(tweet_id: str) -> str:
    """ "train" or "test", one half each: the lowest bit of the id's SHA-256.

    The id alone decides, so a tweet stays on its side in every excerpt of a set (LTEC's later balanced 350 share its ids), and no
    label is looked at.
    """
    return ("train", "test")[sha256(tweet_id.encode()).digest()[-1] & 1]
