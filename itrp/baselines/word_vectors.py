"""Pretrained word vectors as the user has them: a text file or an array, read without ever unpickling anything."""

import gzip
import re
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from pyarrow import csv

from itrp.baselines.tweet_words import TweetWord, spellings, split_tweet
from itrp.errors import WeightsUnavailableError
from itrp.files import DAMAGED_ARRAY

VECTORS_FILE, WORDS_FILE = "vectors.npy", "words.vocab.txt"
UNKNOWN = 0
"""Number of every word that has no vector; its row is zero, as in flair."""

_SOURCE = (
    "give network.words=FILE: GloVe's Twitter vectors (glove.twitter.27B.100d.txt, from the GloVe project's page) or any others "
    "in word2vec's or GloVe's text format, also .gz, or FILE.npy with its words, one a line, in FILE.vocab.txt"
)
_CONVERSION = (
    "unpickling runs code, so itrp never does it: write it as text once, with gensim's "
    "KeyedVectors.load(FILE).save_word2vec_format(OTHER_FILE), and give network.words=OTHER_FILE"
)
_PICKLES = (".gensim", ".kv", ".model", ".pkl", ".pickle", ".pt", ".pth")
_LONGEST_LINE = 1 << 20
_WIDEST = 10_000
"""Numbers of a word; published vectors have at most some thousands."""


class WordVectors:
    """A frozen table of word vectors in 16-bit floats: halves what a saved model weighs, at a relative error below 0.0005.

    words: [n] in the file's order. vectors: [n + 1, d] float16, row UNKNOWN = 0 zero and row i + 1 for word i; it may be a memory
    map.
    """

    def __init__(self, words: Sequence[str], vectors: NDArray[np.float16]) -> None:
        self.words = list(words)
        self.vectors = vectors
        # backwards, so that of a word listed twice the first counts
        self._numbers = {word: number for number, word in zip(range(len(words), 0, -1), reversed(words), strict=True)}

    @property
    def width(self) -> int:
        """d."""
        return int(self.vectors.shape[1])

    def number_words(self, text: str, max_words: int) -> NDArray[np.int32]:
        """[t] rows of the table for the first `max_words` words of a tweet, at least one; UNKNOWN for a word without a vector."""
        numbers = [self._find(word) for word in split_tweet(text)[:max_words]]
        return np.asarray(numbers or [UNKNOWN], dtype=np.int32)

    def _find(self, word: TweetWord) -> int:
        known = (self._numbers[spelling] for spelling in spellings(word) if spelling in self._numbers)
        return next(known, UNKNOWN)

    def take(self, numbers: NDArray[np.integer]) -> NDArray[np.float32]:
        """Vectors of word numbers: [...] -> [..., d] float32."""
        return np.asarray(self.vectors[numbers], dtype=np.float32)

    def save(self, folder: Path) -> None:
        """The whole table, into a new folder: a trained model also knows the words that no tweet of its training had."""
        folder.mkdir()
        np.save(folder / VECTORS_FILE, self.vectors, allow_pickle=False)
        (folder / WORDS_FILE).write_text("".join(f"{word}\n" for word in self.words), "utf-8", newline="\n")


def load_word_vectors(folder: Path) -> WordVectors:
    """What `WordVectors.save` wrote, the vectors as a memory map."""
    return WordVectors(_read_words(folder / WORDS_FILE), np.load(folder / VECTORS_FILE, mmap_mode="r"))


def read_word_vectors(source: str, vocabulary: int | None = None) -> WordVectors:
    """The first `vocabulary` words of a user's file, None for all of them.

    source: word2vec's text format (as gensim writes it; a first line with number and width), GloVe's (without), either also
    gzipped, or FILE.npy, [words, d], with its words one a line in FILE.vocab.txt. Raises WeightsUnavailableError, one line.
    """
    path = Path(source).expanduser()
    if not source or not path.is_file():
        found = f"no file at {path}" if source else "none given"
        raise WeightsUnavailableError(f"LSTM+InceptionNet reads pretrained word vectors, and found {found}; {_SOURCE}")
    if path.suffix in _PICKLES:
        raise WeightsUnavailableError(f"{path} is a pickle by its name: {_CONVERSION}")
    words, blocks = _read_array(path, vocabulary) if path.suffix == ".npy" else _read_text(path, vocabulary)
    vectors = np.concatenate([np.zeros((1, blocks[0].shape[1]), dtype=np.float16), *blocks])
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise WeightsUnavailableError(
            f"expected numbers below 65,504 in {path}, found others for the word {words[row - 1]!r}; {_SOURCE}"
        )
    return WordVectors(words, vectors)


def _read_words(path: Path) -> list[str]:
    # by "\n" alone: GloVe Twitter has words that str.splitlines takes for line ends
    return [word.removesuffix("\r") for word in path.read_bytes().decode().removesuffix("\n").split("\n")]


def _read_array(path: Path, vocabulary: int | None) -> tuple[list[str], list[NDArray[np.float16]]]:
    listed = path.with_suffix(".vocab.txt")
    if not listed.is_file():
        raise WeightsUnavailableError(f"expected the words of {path.name}, one a line, in {listed}, found no such file")
    try:
        words = _read_words(listed)
    except UnicodeDecodeError as error:
        raise WeightsUnavailableError(
            f"expected words in UTF-8, one a line, in {listed}, found others ({error})"
        ) from None
    try:
        array = open_memmap(path, mode="r")
    except DAMAGED_ARRAY as error:
        raise WeightsUnavailableError(
            f"expected an array of numbers in {path}, found something else ({error}); {_SOURCE}"
        ) from None
    if array.ndim != 2 or len(array) != len(words) or array.dtype.kind != "f":
        raise WeightsUnavailableError(
            f"expected one row of floats for each of the {len(words):,} words of {listed.name}, "
            f"found in {path} an array of {array.dtype} of the shape {array.shape}"
        )
    with np.errstate(over="ignore"):  # judged by the caller
        return words[:vocabulary], [array[:vocabulary].astype(np.float16)]


def _read_text(path: Path, vocabulary: int | None) -> tuple[list[str], list[NDArray[np.float16]]]:
    try:
        layout = _read_layout(path)
        words, blocks = _read_rows(path, layout, vocabulary or sys.maxsize)
    except (pa.ArrowException, EOFError, OSError, zlib.error) as error:
        raise WeightsUnavailableError(
            f"expected a word and its numbers in every line of {path}, found something else ({error}); {_SOURCE}"
        ) from None
    if not words:
        raise WeightsUnavailableError(f"expected words and their vectors in {path}, found none; {_SOURCE}")
    return words, blocks


class _Layout(NamedTuple):
    """What the first lines of a text file say of the others."""

    header: int
    """Lines before the first word: 1 in word2vec's format, 0 in GloVe's."""
    width: int
    trailing: int
    """1 where a blank ends each line, as word2vec's own program writes it."""


def _read_layout(path: Path) -> _Layout:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        lines = [file.readline(_LONGEST_LINE) for _ in range(2)]
    if lines[0].startswith(b"\x80"):  # which no UTF-8 begins with, and every pickle does
        raise WeightsUnavailableError(f"{path} is a pickle: {_CONVERSION}")
    header = re.fullmatch(rb"\d{1,18} (\d{1,18})\s*", lines[0])
    first = lines[1 if header else 0].rstrip(b"\r\n")
    trailing = int(first.endswith(b" "))
    counted = first.count(b" ") - trailing
    width = int(header[1]) if header else counted
    if min(width, counted) < 1:
        raise WeightsUnavailableError(f"expected a word and its numbers in every line of {path}, found none; {_SOURCE}")
    if width > min(counted, _WIDEST):
        raise WeightsUnavailableError(
            f"expected up to {_WIDEST:,} numbers for every word of {path}, found {width:,} by its first line and {counted:,} "
            f"with its first word; {_SOURCE}"
        )
    return _Layout(int(bool(header)), width, trailing)


def _read_rows(path: Path, layout: _Layout, vocabulary: int) -> tuple[list[str], list[NDArray[np.float16]]]:
    """Words and, block by block, their vectors: all of a text file's would take four times the memory."""
    words: list[str] = []
    blocks: list[NDArray[np.float16]] = []
    # bytes, because some published files hold words that are not UTF-8
    types = {"word": pa.binary()} | {str(column): pa.float32() for column in range(layout.width)}
    names = [*types, *["end"] * layout.trailing]
    with pa.input_stream(path) as file:
        reader = csv.open_csv(
            file,
            csv.ReadOptions(use_threads=False, skip_rows=layout.header, column_names=names),
            csv.ParseOptions(delimiter=" ", quote_char=False, invalid_row_handler=_judge_row),
            csv.ConvertOptions(column_types=types, include_columns=[*types]),
        )
        for batch in reader:
            batch = batch.slice(length=vocabulary - len(words))
            words += [word.decode(errors="replace") for word in batch.column(0).to_pylist()]
            with np.errstate(over="ignore"):  # judged by the caller
                blocks.append(np.stack([column.to_numpy(False) for column in batch.columns[1:]], 1).astype(np.float16))
            if len(words) == vocabulary:
                break
    return words, blocks


def _judge_row(row: csv.InvalidRow) -> str:
    """A few published vectors belong to words with blanks in them, which no word of a tweet has."""
    return "skip" if row.actual_columns > row.expected_columns else "error"
