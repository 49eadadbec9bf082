"""Word clouds: what is drawn, how large, in which colour."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from itrp.analysis.class_words import HUMAN, MODEL, ClassWords
from itrp.analysis.word_clouds import HEIGHT, WIDTH, draw_word_clouds
from itrp.labels import Task


def words(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    """Word, correlation, q, frequency; p and tweets do not matter here."""
    table = pd.DataFrame(rows, columns=["word", "correlation", "q", "frequency"])
    return table.assign(p=table["q"], tweets=10).astype({"word": object})


def panel(labeller: str, table: pd.DataFrame, name: str = "image adds") -> ClassWords:
    return ClassWords(Task.IMAGE, name, labeller, table)


def pixels(figure: Figure, place: int) -> NDArray[np.int64]:
    """[HEIGHT, WIDTH, 3] of a panel's cloud."""
    return np.asarray(figure.axes[place].images[0].get_array()).astype(np.int64)


def ink(cloud: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (cloud < 200).any(axis=2)


def redness(cloud: NDArray[np.int64]) -> int:
    """Largest red minus green of the pixels."""
    return int((cloud[..., 0] - cloud[..., 1]).max())


def test_grey_to_red_is_frequency_over_all_panels() -> None:
    figure = draw_word_clouds(
        [
            panel(MODEL, words(("rare", 0.5, 0.01, 0.001))),
            panel(HUMAN, words(("common", 0.1, 0.01, 0.1))),
        ],
        "title",
    )
    rare, common = pixels(figure, 0), pixels(figure, 1)
    assert rare.shape == (HEIGHT, WIDTH, 3)
    assert redness(rare) == 0
    assert redness(common) == 0xD4
    bar = figure.axes[-1]
    assert [label.get_text() for label in bar.get_xticklabels()] == ["0.10%", "1.00%", "10.00%"]


def test_size_is_the_strength_of_the_correlation() -> None:
    """The red word first strong, then weak: its ink grows and shrinks with it."""
    areas = {}
    for strength in (0.6, 0.2):
        table = words(("redred", strength, 0.01, 0.1), ("greyish", 0.8 - strength, 0.01, 0.001))
        cloud = pixels(draw_word_clouds([panel(HUMAN, table.sort_values("correlation", ascending=False))], "t"), 0)
        areas[strength] = int(((cloud[..., 0] - cloud[..., 1]) > 150).sum())
    assert areas[0.6] > 2 * areas[0.2] > 0


def test_only_significant_words_of_the_class_are_drawn() -> None:
    drawn = words(("yes", 0.3, 0.05, 0.01))
    more = pd.concat([drawn, words(("chance", 0.2, 0.051, 0.01), ("against", -0.4, 0.001, 0.01))], ignore_index=True)
    first, second = (draw_word_clouds([panel(HUMAN, table)], "t") for table in (drawn, more))
    assert (pixels(first, 0) == pixels(second, 0)).all()
    assert ink(pixels(first, 0)).any()


def test_a_class_without_significant_words_says_so() -> None:
    figure = draw_word_clouds([panel(HUMAN, words(("chance", 0.2, 0.9, 0.01)))], "t")
    assert not ink(pixels(figure, 0)).any()
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "no word goes with this class\nat a false discovery rate of 0.05"
    ]


def test_labellers_stand_side_by_side_and_classes_below_each_other(tmp_path: Path) -> None:
    table = words(("a", 0.2, 0.01, 0.01), ("b", 0.1, 0.01, 0.02))
    panels = [
        panel(labeller, table, name) for name in ("image adds", "image does not add") for labeller in (MODEL, HUMAN)
    ]
    figure = draw_word_clouds(panels, "of the image task")
    assert [axes.get_title() for axes in figure.axes[:4]] == [
        "“image adds” by the model", "“image adds” by human labels",
        "“image does not add” by the model", "“image does not add” by human labels",
    ]  # fmt: skip
    figure.savefig(tmp_path / "clouds.png")
    boxes = [axes.get_position() for axes in figure.axes[:4]]
    assert boxes[0].x1 < boxes[1].x0
    assert boxes[2].y1 < boxes[0].y0
    again = draw_word_clouds(panels, "of the image task")
    assert all((pixels(figure, place) == pixels(again, place)).all() for place in range(4))


def test_words_the_font_lacks_are_told_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    table = words(("ok", 0.3, 0.01, 0.01), ("猫", 0.2, 0.01, 0.01))
    with caplog.at_level(logging.WARNING):
        figure = draw_word_clouds([panel(HUMAN, table)], "t")
    assert "the image leaves out words without letters in the font DejaVuSans.ttf: 猫" in caplog.text
    assert (pixels(figure, 0) == pixels(draw_word_clouds([panel(HUMAN, table[:1])], "t"), 0)).all()
