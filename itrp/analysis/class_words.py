"""The words of a task's classes, by whose labels: what the clouds, the table and the figures are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from itrp.analysis.words import FEWEST_TWEETS, WordCounts, correlate_words
from itrp.labels import CLASS_NAMES, UNLABELLED, Task

HUMAN, MODEL = "human labels", "the model"
SIGNIFICANT = 0.05
"""Largest q (share of false discoveries) of a word that counts as the class's."""


@dataclass(frozen=True, eq=False)
class ClassWords:
    """How words go with one class by one labeller."""

    task: Task
    name: str
    """Of the class."""
    labeller: str
    words: pd.DataFrame
    """As `correlate_words` gives it: the words that speak against the class too."""

    @property
    def own(self) -> pd.DataFrame:
        """The words that go with the class, the strongest first."""
        return self.words[self.words["correlation"] > 0]

    @property
    def significant(self) -> pd.DataFrame:
        """Those of them that are significant."""
        return self.own[self.own["q"] <= SIGNIFICANT]


def find_class_words(
    task: Task,
    counts: WordCounts,
    human: NDArray[np.integer],
    model: NDArray[np.integer] | None = None,
    *,
    fewest_tweets: int = FEWEST_TWEETS,
) -> list[ClassWords]:
    """Words of both classes of a task, the positive class first, the model's before people's.

    human: [n] class indices or UNLABELLED; only the labelled tweets count, for the model too, so that the two compare.
    model: [n] class indices, or None. Raises DataError as `correlate_words` does.
    """
    rows = np.flatnonzero(np.asarray(human) != UNLABELLED)
    labellers = {HUMAN: human} if model is None else {MODEL: model, HUMAN: human}
    own = counts.take(rows)
    return [
        ClassWords(
            task,
            CLASS_NAMES[task][index],
            labeller,
            correlate_words(own, labels[rows] == index, fewest_tweets=fewest_tweets),
        )
        for index in (1, 0)
        for labeller, labels in labellers.items()
    ]


def tabulate_words(found: Sequence[ClassWords]) -> pd.DataFrame:
    """All words under the class they go with: task, class, labels, and the columns of `correlate_words`."""
    tables = [each.own.assign(task=str(each.task), labels=each.labeller, **{"class": each.name}) for each in found]
    table = pd.concat(tables, ignore_index=True)
    first = ["task", "class", "labels"]
    return table[[*first, *(name for name in table.columns if name not in first)]]


def word_figures(found: Sequence[ClassWords]) -> dict[str, float]:
    """Number of significant words by class and labeller; by task, how alike model and people are: Pearson's correlation of
    their words' correlations with the positive class, over all words."""
    figures = {f"{each.name}/{each.labeller}".replace(" ", "_"): float(len(each.significant)) for each in found}
    for task in dict.fromkeys(each.task for each in found):
        by_labeller: Mapping[str, pd.Series] = {
            each.labeller: each.words.set_index("word")["correlation"]
            for each in found
            if each.task is task and each.name == CLASS_NAMES[task][1]
        }
        if MODEL in by_labeller:
            figures[f"{task}/model_and_human"] = float(by_labeller[MODEL].corr(by_labeller[HUMAN]))
    return figures


def summarise_words(found: Sequence[ClassWords], most: int = 12) -> str:
    """The strongest significant words of each class, one line a labeller."""
    lines = []
    for each in found:
        words = each.significant.head(most)
        told = ", ".join(f"{row.word} {row.correlation:.2f}" for row in words.itertuples()) or "none is significant"
        lines.append(f"{each.name}, {each.labeller}: {told}")
    return "\n".join(lines)
