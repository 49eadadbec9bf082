"""Synthetic tweets with known truth: drawn images, written texts, all four relations by construction.

The demo and the tests live on them; nothing in them was taken from a real tweet. A tweet follows from
(seed, index)
alone. What it says and shows is a `Recipe`, and its labels follow from the recipe by rule, never by a draw:
the text is
represented when the image shows a content word of it, and the image adds when it tells something the text
does not say. With matched margins neither the text alone nor the image alone tells whether the text is represented.
"""

from itrp.datasets.synthetic.generate import Margins, SyntheticTweet, generate_tweets, plan_tweet
from itrp.datasets.synthetic.layouts import write_itr_layout, write_landing_layout, write_twitter100k_layout
from itrp.datasets.synthetic.recipes import Recipe

__all__ = [
    "Margins",
    "Recipe",
    "SyntheticTweet",
    "generate_tweets",
    "plan_tweet",
    "write_itr_layout",
    "write_landing_layout",
    "write_twitter100k_layout",
]
