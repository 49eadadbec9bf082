"""Pairs of which neither the text alone nor the image alone tells whether they match: margins matched by construction.

Two pairs whose texts are represented exchange their images, and all four combinations are kept. So every text and every
image stands once in a pair that matches and once in one that does not, and whatever a function of the text plus a function
of the image gives to the two that match, it gives to the two that do not. A quartet shares nothing with any other one: it
follows from (seed, number) alone, and what is held out as whole quartets has none of its texts or images elsewhere.

Images with lettering are left out: whether a poster says what its tweet says can only be read, and the question here is
whether a method sees that a text and an image belong together.
"""

from dataclasses import dataclass, replace

from itrp.datasets.synthetic.dice import Dice
from itrp.datasets.synthetic.plans import SHARES, plan_pair
from itrp.datasets.synthetic.recipes import Recipe

QUARTET = 4
"""Pairs that are made of two texts and two images."""

_STREAM = 1 << 41
"""Indices that no other tweet has: the quartets must not depend on any other tweet's chance."""
_REPRESENTED = {relation: share for relation, share in SHARES.items() if relation[0] == "1"}


@dataclass(frozen=True, slots=True)
class Quartet:
    """Two texts, two images, and the order in which their four pairs come."""

    recipes: tuple[Recipe, Recipe]
    """What the two say and show where each text stands with its own image."""
    order: tuple[tuple[int, int], ...]
    """(text, image) of the four pairs, each 0 or 1."""
    paints: tuple[Dice, Dice]
    """The chance left to draw each image with."""
    times: Dice
    """The chance left for the times of the four tweets."""

    def recipe(self, place: int) -> Recipe:
        """What pair `place` (0 to 3) says and shows: its labels follow from it by the rule of every tweet."""
        text, image = self.order[place]
        return replace(self.recipes[image], text=self.recipes[text].text)


def plan_quartet(seed: int, number: int) -> Quartet:
    """Quartet `number` of a seed: its pairs 0 and 1 match, and would not with their images exchanged."""
    times, first, second = (Dice(seed, _STREAM + 3 * number + part) for part in range(3))
    one = _plan_represented(first)
    while True:
        other = _plan_represented(second)
        if not (one.said & other.seen or other.said & one.seen):
            break
    order = tuple(times.sample(((0, 0), (1, 1), (0, 1), (1, 0)), QUARTET))
    return Quartet((one, other), order, (first, second), times)


def _plan_represented(dice: Dice) -> Recipe:
    """A pair whose text is represented by what is drawn."""
    while True:
        recipe = plan_pair(dice, _REPRESENTED)
        if recipe.board is None:
            return recipe
