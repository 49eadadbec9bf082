"""Words of a class as an image: size = strength of the correlation, grey to red = how frequent the word is.

The figures 5 and 6 of Sun et al. 2023: what a model's classes and the human labels' classes talk about, side by side.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray
from wordcloud import WordCloud

from itrp.analysis.class_words import SIGNIFICANT, ClassWords

logger = logging.getLogger(__name__)

GREY_TO_RED = LinearSegmentedColormap.from_list("grey to red", ["#8c8c8c", "#a8746c", "#c3302b", "#d40000"])
WIDTH, HEIGHT = 900, 520
"""Pixels of one cloud."""
MOST_WORDS = 60
ROOMY = 25
"""With so many words a cloud fills its panel."""


def draw_word_clouds(panels: Sequence[ClassWords], title: str, *, seed: int = 0, font: Path | None = None) -> Figure:
    """A grid of clouds, classes below each other and labellers side by side.

    Drawn are the significant words that go with the class, the strongest `MOST_WORDS` of each panel; sizes are relative
    to the panel's strongest word, colours are the same in all panels.
    font: a TrueType file (DejaVu Sans by default); words it has no letters for are left out of the image.
    """
    font = font or default_font()
    drawn = [_choose_words(panel, font) for panel in panels]
    norm = _frequency_norm(drawn)
    rows, columns = (list(dict.fromkeys(getattr(panel, name) for panel in panels)) for name in ("name", "labeller"))
    figure = Figure(figsize=(1.5 + 6.2 * len(columns), 1.5 + 3.7 * len(rows)), layout="constrained")
    figure.suptitle(title, fontsize=16)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for panel, words in zip(panels, drawn, strict=True):
        axes = grid[rows.index(panel.name)][columns.index(panel.labeller)]
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"“{panel.name}” by {panel.labeller}", fontsize=13)
        axes.spines[:].set_color("#dddddd")
        axes.imshow(_draw_cloud(words, norm, seed, font), interpolation="bilinear")
        if words.empty:
            explained = f"no word goes with this class\nat a false discovery rate of {SIGNIFICANT:g}"
            axes.text(WIDTH / 2, HEIGHT / 2, explained, ha="center", va="center", color="#777777", fontsize=13)
    _draw_legend(figure, grid, norm)
    return figure


def default_font() -> Path:
    """DejaVu Sans as matplotlib brings it: Latin, Greek, Cyrillic, Arabic and most emoticons."""
    return Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def _choose_words(panel: ClassWords, font: Path) -> pd.DataFrame:
    """The words to draw: significant and in the font, the strongest first."""
    chosen = panel.significant.head(MOST_WORDS)
    letters = set(FT2Font(str(font)).get_charmap())
    shown = np.array([all(ord(letter) in letters for letter in word) for word in chosen["word"]], dtype=bool)
    if not shown.all():
        missing = ", ".join(chosen["word"][~shown])
        logger.warning("the image leaves out words without letters in the font %s: %s", font.name, missing)
    return chosen[shown]


def _frequency_norm(drawn: Sequence[pd.DataFrame]) -> LogNorm:
    """From the rarest to the most frequent word of all panels; logarithmic, as word frequencies are."""
    shares = np.concatenate([words["frequency"].to_numpy(float) for words in drawn] or [np.empty(0)])
    low, high = (float(shares.min()), float(shares.max())) if len(shares) else (1e-4, 1e-2)
    return LogNorm(low, high if high > low else 2 * low)


def _draw_cloud(words: pd.DataFrame, norm: LogNorm, seed: int, font: Path) -> NDArray[np.uint8]:
    """[HEIGHT, WIDTH, 3] pixels. Few words get a smaller room in the middle, so that they stand together."""
    canvas = np.full((HEIGHT, WIDTH, 3), 255, dtype=np.uint8)
    if words.empty:
        return canvas
    share = float(np.clip(np.sqrt(len(words) / ROOMY), 0.55, 1))
    width, height = round(WIDTH * share), round(HEIGHT * share)
    cloud = WordCloud(
        font_path=str(font),
        width=width,
        height=height,
        background_color="white",
        prefer_horizontal=1.0,
        relative_scaling=0.7,  # 1 would leave room for the strongest words only
        max_words=MOST_WORDS,
        min_font_size=11,
        max_font_size=110,
        margin=5,
        random_state=seed,
        color_func=_colour_words(words, norm),
    )
    cloud.generate_from_frequencies(dict(zip(words["word"], words["correlation"], strict=True)))
    top, left = (HEIGHT - height) // 2, (WIDTH - width) // 2
    canvas[top : top + height, left : left + width] = cloud.to_array()
    return canvas


def _colour_words(words: pd.DataFrame, norm: LogNorm) -> Callable[..., str]:
    colours = {
        word: to_hex(GREY_TO_RED(float(norm(share))))
        for word, share in zip(words["word"], words["frequency"], strict=True)
    }
    return lambda word, **_: colours[word]


def _draw_legend(figure: Figure, grid: NDArray[np.object_], norm: LogNorm) -> None:
    bar = figure.colorbar(
        ScalarMappable(norm, GREY_TO_RED), ax=grid, location="bottom", shrink=0.35, aspect=35, format="{x:.2%}"
    )
    ticks = np.geomspace(norm.vmin or 1e-4, norm.vmax or 1e-2, 3).tolist()
    bar.set_ticks(ticks, labels=[f"{tick:.2%}" for tick in ticks])
    bar.minorticks_off()
    bar.set_label(
        "colour: share of all words    ·    size: correlation with the class, relative to the panel's strongest"
    )
