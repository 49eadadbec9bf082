import gzip
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from itrp.baselines.stand_ins import write_word_vectors
from itrp.baselines.tweet_words import spellings, split_tweet
from itrp.baselines.word_vectors import UNKNOWN, WordVectors, load_word_vectors, read_word_vectors
from itrp.errors import WeightsUnavailableError

WORDS = ["the", "Sunset", "sunset", "<url>", "<user>", "0nd", "##", "nofilter", "❤", "it's", "<number>", "<smile>"]
VECTORS = np.arange(len(WORDS) * 3, dtype=np.float32).reshape(-1, 3) / 4 - 2
"""Exact in 16 bits."""


def as_text(words: list[str] = WORDS, end: str = "\n") -> str:
    return "".join(f"{word} {' '.join(map(str, row))}{end}" for word, row in zip(words, VECTORS.tolist(), strict=False))


def write_glove(folder: Path) -> Path:
    (folder / "glove.txt").write_text(as_text())
    return folder / "glove.txt"


def write_word2vec(folder: Path) -> Path:
    (folder / "vectors.vec").write_text(f"{len(WORDS)} 3\n{as_text()}")
    return folder / "vectors.vec"


def write_word2vec_c(folder: Path) -> Path:
    """As word2vec's own program does, with a blank at each line's end."""
    (folder / "vectors.txt").write_text(f"{len(WORDS)} 3\n{as_text(end=' ' + chr(10))}")
    return folder / "vectors.txt"


def write_gzip(folder: Path) -> Path:
    (folder / "glove.txt.gz").write_bytes(gzip.compress(as_text().encode()))
    return folder / "glove.txt.gz"


def write_array(folder: Path) -> Path:
    np.save(folder / "vectors.npy", VECTORS)
    (folder / "vectors.vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder / "vectors.npy"


WRITERS = [write_glove, write_word2vec, write_word2vec_c, write_gzip, write_array]


@pytest.fixture
def vectors(tmp_path: Path) -> WordVectors:
    return read_word_vectors(str(write_glove(tmp_path)))


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_the_same_table(write: Callable[[Path], Path], tmp_path: Path) -> None:
    vectors = read_word_vectors(str(write(tmp_path)))
    assert (vectors.words, vectors.width) == (WORDS, 3)
    assert vectors.vectors.dtype == np.float16
    np.testing.assert_array_equal(vectors.take(np.arange(13)), np.vstack([np.zeros((1, 3)), VECTORS]))


@pytest.mark.parametrize("write", WRITERS)
def test_no_more_words_are_read_than_asked_for(write: Callable[[Path], Path], tmp_path: Path) -> None:
    vectors = read_word_vectors(str(write(tmp_path)), vocabulary=2)
    assert vectors.words == WORDS[:2]
    np.testing.assert_array_equal(vectors.take(np.array([1, 2])), VECTORS[:2])


def test_words_are_found_by_their_spellings_and_unknown_ones_are_zero(vectors: WordVectors) -> None:
    #        Sunset  SUNSET->sunset  THE->the  link  mention  2nd->0nd  #NoFilter->nofilter  emoji  it’s  10:30  :)  missing
    text = "Sunset SUNSET THE https://t.co/x @bob 2nd #NoFilter ❤️ it’s 10:30 :) zebra"
    numbers = vectors.number_words(text, 64)
    assert numbers.tolist() == [2, 3, 1, 4, 5, 6, 8, 9, 10, 11, 12, UNKNOWN]
    np.testing.assert_array_equal(vectors.take(numbers)[[0, 11]], [VECTORS[1], [0, 0, 0]])
    assert vectors.number_words("42", 64).tolist() == [7]  # ## for two digits comes before the placeholder
    assert vectors.number_words(text, 3).tolist() == [2, 3, 1]
    assert vectors.number_words("", 3).tolist() == [UNKNOWN]


def test_of_a_word_listed_twice_the_first_counts(tmp_path: Path) -> None:
    (tmp_path / "twice.txt").write_text("a 1 2\nb 3 4\na 5 6\n")
    vectors = read_word_vectors(str(tmp_path / "twice.txt"))
    assert vectors.number_words("a b", 9).tolist() == [1, 2]


def test_odd_words_of_published_files_do_no_harm(tmp_path: Path) -> None:
    """A line separator as a word, one with blanks, quotes, one that is not UTF-8: all of them occur."""
    lines = [b"a 1 2", "\x85 3 4".encode(), b". . 5 6", b'" 7 8', b"\xe9\xe9 9 10", b"null 11 12", b"b 13 14", b""]
    (tmp_path / "odd.txt").write_bytes(b"\n".join(lines))
    vectors = read_word_vectors(str(tmp_path / "odd.txt"))
    assert vectors.words == ["a", "\x85", '"', "��", "null", "b"]
    assert vectors.take(np.arange(1, 7))[:, 0].tolist() == [1, 3, 7, 9, 11, 13]
    vectors.save(tmp_path / "saved")
    assert load_word_vectors(tmp_path / "saved").words == vectors.words


def test_a_saved_table_needs_no_other_file(vectors: WordVectors, tmp_path: Path) -> None:
    vectors.save(tmp_path / "saved")
    (tmp_path / "glove.txt").unlink()
    again = load_word_vectors(tmp_path / "saved")
    assert again.words == vectors.words
    np.testing.assert_array_equal(again.vectors, vectors.vectors)
    assert isinstance(again.vectors, np.memmap)


def test_no_file_is_answered_with_where_to_get_one(tmp_path: Path) -> None:
    for source, found in [("", "none given"), (str(tmp_path / "no.txt"), "no file at")]:
        with pytest.raises(
            WeightsUnavailableError, match=f"{found}.*network.words=FILE: GloVe's Twitter vectors"
        ) as error:
            read_word_vectors(source)
        assert "\n" not in str(error.value)


def array_header(shape: str) -> bytes:
    """An npy file of that shape with twelve numbers in it."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(48)


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path, str]]:
        return Path.write_text, (self.path, "ran")


@pytest.mark.parametrize("name", ["twitter.gensim", "twitter.txt", "twitter.npy"])
def test_a_pickle_is_refused_and_not_run(name: str, tmp_path: Path) -> None:
    if name.endswith(".npy"):
        np.save(tmp_path / name, np.array([[Trap(tmp_path / "trap")]], dtype=object))
        (tmp_path / "twitter.vocab.txt").write_text("a\n")
    else:
        (tmp_path / name).write_bytes(pickle.dumps(Trap(tmp_path / "trap")))
    with pytest.raises(
        WeightsUnavailableError, match="Python objects in dtype" if "npy" in name else "save_word2vec_format"
    ):
        read_word_vectors(str(tmp_path / name))
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "found none"),
        ("5 3\n", "found none"),
        ("only\nwords\n", "found none"),
        ("a 1 2\nb 3\n", "found something else.*Expected 3 columns, got 2"),
        ("a 1 2\nb 3 x\n", "found something else.*invalid value 'x'"),
        ("a 1 2\nb 3 70000\n", "numbers below 65,504.*'b'"),
        ("a 1 2\nb nan 1\n", "numbers below 65,504.*'b'"),
        (
            "1 99999999999\na 1 2\n",
            "up to 10,000 numbers for every word.*found 99,999,999,999 by its first line and 2 with",
        ),
        ("1 3\na 1 2\n", "found 3 by its first line and 2 with its first word"),
        (f"1 {'9' * 5000}\na 1 2\n", "found something else|numbers below 65,504"),
        (f"a{' 1' * 10_001}\n", "found 10,001 by its first line"),
    ],
)
def test_a_file_that_is_no_word_vectors_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text(content)
    with pytest.raises(WeightsUnavailableError, match=message) as error:
        read_word_vectors(str(tmp_path / "bad.txt"))
    assert "\n" not in str(error.value)


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "half.txt.gz").write_bytes(gzip.compress(as_text().encode())[:60])
    with pytest.raises(WeightsUnavailableError, match="found something else"):
        read_word_vectors(str(tmp_path / "half.txt.gz"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4', ",
        b"\x93NUMPY\x09\x00" + bytes(100),
        b"PK\x03\x04" + bytes(100),
        array_header("(4, 99999999999)"),
        array_header("(99999999999999999999999, 3)"),
        array_header("(" * 5000),
        array_header("(-1, 3)"),
    ],
)  # fmt: skip
def test_a_damaged_array_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(content)
    (tmp_path / "bad.vocab.txt").write_text("a\nb\n")
    with pytest.raises(
        WeightsUnavailableError, match=r"expected an array of numbers in|expected one row of floats"
    ) as error:
        read_word_vectors(str(tmp_path / "bad.npy"))
    assert "\n" not in str(error.value)


def test_words_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    path = write_array(tmp_path)
    path.with_suffix(".vocab.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(WeightsUnavailableError, match=r"expected words in UTF-8, one a line"):
        read_word_vectors(str(path))


def test_an_array_without_its_words_is_refused(tmp_path: Path) -> None:
    path = write_array(tmp_path)
    (tmp_path / "vectors.vocab.txt").write_text("a\nb\n")
    with pytest.raises(WeightsUnavailableError, match=r"each of the 2 words .* the shape \(12, 3\)"):
        read_word_vectors(str(path))
    (tmp_path / "vectors.vocab.txt").unlink()
    with pytest.raises(WeightsUnavailableError, match=r"vectors\.vocab\.txt, found no such file"):
        read_word_vectors(str(path))


def test_tweets_are_cut_into_words() -> None:
    text = "RT @bob_1: it’s well-known :-) #NoFilter… $5.00 wow!! 👩🏽‍🚀🇱🇻 cafe\u0301 <3 https://t.co/a1?b=c"
    expected = "RT|@bob_1|:|it’s|well-known|:-)|#NoFilter|…|$|5.00|wow|!|!|👩🏽‍🚀|🇱🇻|café|<3|https://t.co/a1?b=c"
    assert [word.text for word in split_tweet(text)] == expected.split("|")
    assert [word.kind for word in split_tweet("http:/… https… www.a.b/c http")] == ["url", "url", "url", "word"]
    kinds = [word.kind for word in split_tweet("https://x.y @a #b -3.5 :) :p :( :/ <3 a, 2nd")]
    faces = ["smile", "lolface", "sadface", "neutralface", "heart"]
    assert kinds == ["url", "user", "hashtag", "number", *faces, "word", "mark", "word"]


def test_spellings_are_tried_from_the_closest_on() -> None:
    (word,) = split_tweet("#Top10")
    assert list(spellings(word)) == ["#Top10", "#top10", "#top##", "#top00", "#top10", "top10", "<hashtag>"]


def test_stand_ins_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    first, again, other = (write_word_vectors(tmp_path / str(n), ["a", "b"], n // 2) for n in (0, 1, 2))
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    assert read_word_vectors(str(first)).words == ["a", "b"]
