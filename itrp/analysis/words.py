"""Which words go with which class: differential language analysis.

For every unigram, the correlation between its relative frequency in a tweet and the tweet's membership in the class
(Schwartz et al. 2013; the figures 5 and 6 of Sun et al. 2023), with Benjamini and Hochberg's correction.
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control
from scipy.stats import t as student
from sklearn.feature_extraction.text import CountVectorizer

from itrp.errors import DataError

FEWEST_TWEETS = 10
"""A word in fewer tweets is left out: its correlation would be that of a few tweets."""
COLUMNS = ("word", "correlation", "p", "q", "frequency", "tweets")

_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0dff\u0e00-\u0e7f"  # written over and under letters
_LETTER = rf"(?:[^\W_]|[{_MARKS}])"
_PICTOGRAPH = (
    "[\U0001f300-\U0001f5ff\U0001f600-\U0001f64f\U0001f680-\U0001f6ff\U0001f900-\U0001faff\u2600-\u27bf\u2b50\u2b55]"
)
_MODIFIER = "[\ufe0f\U0001f3fb-\U0001f3ff]"  # coloured variant, skin tone
_TOKEN = re.compile(
    rf"""
    (?P<link>\b(?:https?:|www\.|t\.co/)\S*)                           # dropped: not a word
    | [@\#](?:{_LETTER}|_)+                                           # mention, hashtag
    | {_LETTER}+(?:['’‐-]{_LETTER}+)*                                 # word, also don't and well-known
    | [\U0001f1e6-\U0001f1ff]{{2}}                                    # flag
    | {_PICTOGRAPH}{_MODIFIER}*(?:\u200d{_PICTOGRAPH}{_MODIFIER}*)*   # emoji, with what is joined to it
    | [:;=]['’]?-?[)(DdPpOo/\\|*3]+(?!\w)                             # emoticon: :) ;-) :'( :D
    | <3+
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, eq=False)
class WordCounts:
    """How often n tweets use v words: words [v], counts [n, v] sparse, lengths [n] (all tokens of each tweet)."""

    words: NDArray[np.str_]
    counts: csr_array
    lengths: NDArray[np.int64]

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "WordCounts":
        """The chosen tweets, in the order given."""
        return WordCounts(self.words, self.counts[np.asarray(rows)], self.lengths[rows])


def tokenize(text: str) -> list[str]:
    """The unigrams of a tweet, lower case: words (with inner apostrophes and hyphens), numbers, #hashtags and @mentions
    with their mark, emoji and emoticons. Links and other punctuation are dropped, HTML's &amp; is read as &, and a script
    without spaces stays a run.
    """
    return [
        match.group().lower().replace("’", "'").replace("\ufe0f", "")
        for match in _TOKEN.finditer(html.unescape(text))
        if match.lastgroup != "link"
    ]


def count_words(texts: Sequence[str]) -> WordCounts:
    """Count every unigram of every tweet. Raises DataError when there is none at all."""
    vectorizer = CountVectorizer(tokenizer=tokenize, token_pattern=None, lowercase=False, dtype=np.int64)
    try:
        counts = csr_array(vectorizer.fit_transform(texts))
    except ValueError as error:  # an empty vocabulary
        raise DataError(f"expected tweets with words, found none in {len(texts)} texts") from error
    return WordCounts(vectorizer.get_feature_names_out().astype(str), counts, np.asarray(counts.sum(axis=1)))


def correlate_words(
    counts: WordCounts, members: NDArray[np.bool_], *, fewest_tweets: int = FEWEST_TWEETS
) -> pd.DataFrame:
    """How each word's relative frequency goes with membership in a class, the strongest first.

    members: [n] bool. Columns: word; correlation (Pearson's of the standardised relative frequency, in a tweet, with
    membership); p (two-sided, Student's t with n - 2 degrees of freedom); q (p after Benjamini and Hochberg, over all
    words of the table); frequency (share of all tokens of all tweets); tweets (that use the word). Words in fewer than
    `fewest_tweets` tweets, or as frequent in every tweet, are left out. Ties in alphabetical order.
    Raises DataError for another length, fewer than 3 tweets, and a class with no or all tweets.
    """
    members = np.asarray(members, dtype=bool)
    _check_members(counts, members)
    tweets = np.bincount(counts.counts.indices, minlength=len(counts.words))  # cells are stored once, and never zero
    kept = tweets >= max(fewest_tweets, 1)
    relative = _relative_frequencies(counts.counts[:, kept], counts.lengths)
    correlation = _correlate_columns(relative, members)
    frequency = np.asarray(counts.counts[:, kept].sum(axis=0)) / max(int(counts.lengths.sum()), 1)
    table = pd.DataFrame(
        {"word": counts.words[kept], "correlation": correlation, "frequency": frequency, "tweets": tweets[kept]}
    ).dropna()
    table["p"] = _p_values(table["correlation"].to_numpy(), len(members))
    table["q"] = false_discovery_control(table["p"].to_numpy()) if len(table) else table["p"]
    ranked = table.sort_values(["correlation", "word"], ascending=[False, True], ignore_index=True)
    return ranked[list(COLUMNS)]


def _check_members(counts: WordCounts, members: NDArray[np.bool_]) -> None:
    n = len(counts.lengths)
    if members.shape != (n,):
        raise DataError(f"expected one membership a tweet, [{n}], found the shape {members.shape}")
    if n < 3 or not 0 < members.sum() < n:
        raise DataError(
            f"expected tweets in the class and outside of it, 3 at least, found {int(members.sum())} of {n} in it: "
            "comparison needs both"
        )


def _relative_frequencies(counts: csr_array, lengths: NDArray[np.int64]) -> csr_array:
    """[n, v]: counts divided by the tweet's number of tokens; a tweet without tokens uses no word."""
    rows = np.repeat(np.arange(len(lengths)), np.diff(counts.indptr))
    return csr_array((counts.data / lengths[rows], counts.indices, counts.indptr), shape=counts.shape)


def _correlate_columns(values: csr_array, members: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Pearson correlation of every column with membership, [v]; NaN for a constant column.

    Standardising a column does not change its correlation, so the sums of the sparse cells are enough.
    """
    n = len(members)
    share = members.mean()
    mean = np.asarray(values.sum(axis=0)) / n
    inside = np.asarray(values[members].sum(axis=0)) / n
    square = np.asarray(values.power(2).sum(axis=0)) / n
    variance = np.maximum(square - mean**2, 0)
    variance[variance < 1e-12 * square] = 0  # what rounding leaves of a constant column
    spread = np.sqrt(variance * share * (1 - share))
    correlation = np.full_like(mean, np.nan)
    np.divide(inside - mean * share, spread, out=correlation, where=spread > 0)
    return np.clip(correlation, -1, 1)


def _p_values(correlation: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Two-sided p values of Pearson correlations over n tweets; 0 for a perfect one."""
    with np.errstate(divide="ignore"):
        statistic = np.abs(correlation) * np.sqrt((n - 2) / (1 - correlation**2))
    p: NDArray[np.float64] = 2 * student.sf(statistic, n - 2)
    return p
