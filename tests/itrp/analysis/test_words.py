"""Words of a class: tokens, correlations by hand, and against plain numpy."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from itrp.analysis.class_words import HUMAN, MODEL, find_class_words, summarise_words, tabulate_words, word_figures
from itrp.analysis.words import WordCounts, correlate_words, count_words, tokenize
from itrp.errors import DataError
from itrp.labels import UNLABELLED, Task


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Our NEW bikes!", ["our", "new", "bikes"]),
        ("don't, don’t: a well-known fact-", ["don't", "don't", "a", "well-known", "fact"]),
        ("RT @Some_User: #Sandy_2012 #", ["rt", "@some_user", "#sandy_2012"]),
        ("look https://t.co/AbC1?x=y t.co/9Z www.a.org now", ["look", "now"]),
        ("Q&amp;A &lt;3", ["q", "a", "<3"]),
        (
            "so happy😂😂 :) ;-) :'( at 10:30 :D",
            ["so", "happy", "😂", "😂", ":)", ";-)", ":'(", "at", "10", "30", ":d"],
        ),
        ("👍🏽 👩‍🚀🇺🇸❤️", ["👍🏽", "👩‍🚀", "🇺🇸", "❤"]),
        ("Ćevapi naïve नमस्ते Москва", ["ćevapi", "naïve", "नमस्ते", "москва"]),
        ("_so_ 3.5% ... !!", ["so", "3", "5"]),
        ("", []),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


def test_correlations_by_hand() -> None:
    """Relative frequencies of a: 1/2, 1, 0, 0; of b: 1/2, 0, 1/2, 0; of c: 0, 0, 1/2, 1. The first two are members."""
    counts = count_words(["a b", "A", "c b", "c c c https://t.co/x"])
    table = correlate_words(counts, np.array([True, True, False, False]), fewest_tweets=1).set_index("word")
    # a: covariance 3/16, variances 11/64 and 1/4; t = r * sqrt(2 / (1 - r^2)) = 3; two-sided with 2 degrees of freedom
    r, p = (3 / 16) / np.sqrt(11 / 64 / 4), 1 - 3 / np.sqrt(11)
    assert table.index.tolist() == ["a", "b", "c"]
    assert table["correlation"].tolist() == pytest.approx([r, 0, -r])
    assert table["p"].tolist() == pytest.approx([p, 1, p])
    assert table["q"].tolist() == pytest.approx([1.5 * p, 1, 1.5 * p])  # the two smallest of three p values are equal
    assert table["frequency"].tolist() == pytest.approx([2 / 8, 2 / 8, 4 / 8])
    assert table["tweets"].tolist() == [2, 2, 2]


def test_as_plain_numpy_on_random_tweets() -> None:
    rng = np.random.default_rng(2)
    vocabulary = np.array([f"w{number}" for number in range(40)])
    texts = [" ".join(rng.choice(vocabulary, rng.integers(0, 12))) for _ in range(300)]
    members = rng.random(300) < 0.3
    table = correlate_words(count_words(texts), members, fewest_tweets=5).set_index("word")
    assert len(table) == 40
    for word in vocabulary:
        relative = [text.split().count(word) / max(len(text.split()), 1) for text in texts]
        expected = pearsonr(relative, members)
        assert table.loc[word, "correlation"] == pytest.approx(expected.statistic, abs=1e-12)
        assert table.loc[word, "p"] == pytest.approx(expected.pvalue, rel=1e-9)
    assert (table["q"] >= table["p"]).all()
    assert table["correlation"].is_monotonic_decreasing


def test_rare_and_constant_words_are_left_out() -> None:
    texts = ["hi x y", "hi x z", "hi x y", "hi x q"]
    table = correlate_words(count_words(texts), np.array([True, False, True, False]), fewest_tweets=2)
    assert table["word"].tolist() == ["y"]  # hi and x are as frequent everywhere, z and q stand in one tweet
    assert table.loc[0, "correlation"] == pytest.approx(1)
    assert table.loc[0, "p"] == 0


def test_a_table_can_be_empty() -> None:
    table = correlate_words(count_words(["a", "b", "c"]), np.array([True, False, False]), fewest_tweets=2)
    assert table.empty
    assert table.columns.tolist() == ["word", "correlation", "p", "q", "frequency", "tweets"]


@pytest.mark.parametrize("members", [[True] * 3, [False] * 3])
def test_a_class_of_nothing_or_all_is_refused(members: list[bool]) -> None:
    with pytest.raises(DataError, match=f"found {sum(members)} of 3 in it: comparison needs both"):
        correlate_words(count_words(["a", "b", "c"]), np.array(members))


def test_wrong_input_is_refused() -> None:
    with pytest.raises(DataError, match=r"expected one membership a tweet, \[2\], found the shape \(3,\)"):
        correlate_words(count_words(["a", "b"]), np.array([True, False, True]))
    with pytest.raises(DataError, match="expected tweets with words, found none in 2 texts"):
        count_words(["...", "https://t.co/x"])


@pytest.fixture
def counts() -> WordCounts:
    return count_words(["cat cat"] * 6 + ["dog dog"] * 6 + ["sky"] * 3)


def test_only_labelled_tweets_count(counts: WordCounts) -> None:
    human = np.array([1] * 6 + [0] * 6 + [UNLABELLED] * 3)
    model = np.array([1] * 5 + [0] * 7 + [1] * 3)
    found = find_class_words(Task.TEXT, counts, human, model, fewest_tweets=1)
    assert [(each.name, each.labeller) for each in found] == [
        ("text represented", MODEL),
        ("text represented", HUMAN),
        ("text not represented", MODEL),
        ("text not represented", HUMAN),
    ]
    for each in found:
        assert set(each.words["word"]) == {"cat", "dog"}
    by_human = found[1].words.set_index("word")["correlation"]
    assert by_human.to_dict() == pytest.approx({"cat": 1, "dog": -1})
    # 5 of the 6 cats are the model's class: r = sqrt(5/7) in a 2 x 2 table with the margins 6, 6 and 5, 7
    by_model = found[0].words.set_index("word")["correlation"]
    assert by_model["cat"] == pytest.approx(np.sqrt(5 / 7))
    assert found[2].words.set_index("word")["correlation"]["cat"] == pytest.approx(-np.sqrt(5 / 7))


def test_every_word_stands_once_a_labeller_under_its_class(counts: WordCounts) -> None:
    human = np.array([1] * 6 + [0] * 6 + [UNLABELLED] * 3)
    found = find_class_words(Task.IMAGE, counts, human, human, fewest_tweets=1)
    table = tabulate_words(found)
    assert table[["task", "class", "labels", "word"]].to_numpy().tolist() == [
        ["image", "image adds", MODEL, "cat"],
        ["image", "image adds", HUMAN, "cat"],
        ["image", "image does not add", MODEL, "dog"],
        ["image", "image does not add", HUMAN, "dog"],
    ]
    figures = word_figures(found)
    assert figures["image/model_and_human"] == pytest.approx(1)
    assert figures["image_adds/human_labels"] == 1
    assert summarise_words(found).splitlines()[0] == "image adds, the model: cat 1.00"
