"""Plans: for each of the four relations, the ways in which a tweet and its image come to stand in it.

The style of a text (concrete or talk) and the look of an image (busy and lettered, or plain) follow the
class most of
the time and mislead in the rest, so that neither side of a pair alone tells its class for certain.
"""

from collections.abc import Callable, Mapping

from itrp.datasets.synthetic import lettering, sentences
from itrp.datasets.synthetic.boards import Board
from itrp.datasets.synthetic.dice import Dice
from itrp.datasets.synthetic.recipes import Recipe
from itrp.datasets.synthetic.scenes import BY_DAY_ONLY, SUITING
from itrp.datasets.synthetic.things import THINGS

SHARES: dict[str, float] = {"00": 0.342, "01": 0.254, "10": 0.221, "11": 0.183}
"""Shares of the relations: those of ITR's train split (1224/908/791/653 of 3,576)."""

FOLLOWS_STYLE = 0.84
"""Share of texts in the style of their class: concrete when represented, talk when not."""

BARE = 0.5
"""Share of single subjects before a bare backdrop, where they can be: plain, like an image of nothing."""

HUNG_UP = 0.7
"""Share of posters and screens photographed where they are; the others are the graphic itself."""

_NAMES = tuple(THINGS)
_LANDSCAPES = ("meadow", "sea", "beach", "snow", "mountains", "desert", "city", "night")
_CROWDED = ("meadow", "beach", "snow", "mountains", "desert", "city", "room", "table")
_BY_SETTING = {
    setting: tuple(name for name in _NAMES if setting in SUITING[THINGS[name].place]) for setting in _CROWDED
}


def plan_pair(dice: Dice, shares: Mapping[str, float] = SHARES) -> Recipe:
    """A recipe whose relation, by the rule of `Recipe`, is the one that was drawn for it with these shares."""
    relation = dice.weighted(shares)
    plan = _PLANS[dice.weighted(_WAYS[relation])]
    while True:
        recipe = plan(dice)
        # a text can name by chance what the image shows: that pair stands in another relation
        if f"{recipe.text_is_represented}{recipe.image_adds}" == relation:
            return recipe


def _write_unrelated(dice: Dice) -> str:
    """Text that is not represented: talk, or, misleadingly, things that are not in the image."""
    if dice.chance(FOLLOWS_STYLE):
        return sentences.type_tweet(sentences.talk(dice), (), dice)
    names = dice.sample(_NAMES, dice.pick((1, 1, 2)))
    return sentences.type_tweet(sentences.describe(names, dice.pick(_CROWDED), dice), names, dice)


def _write_about(names: tuple[str, ...], setting: str | None, dice: Dice) -> str:
    """Text that is represented: concrete, or, misleadingly, talk with one concrete word in it."""
    # only texts about one thing can be talk: a little more of them, so that the share holds for all
    if len(names) == 1 and not dice.chance(FOLLOWS_STYLE - 0.05):
        return sentences.type_tweet(sentences.mention(names[0], dice), (), dice)
    return sentences.type_tweet(sentences.describe(names, setting, dice), names, dice)


def _draw_things(dice: Dice, count: int) -> tuple[str, tuple[str, ...]]:
    """A setting and so many different things that can stand in it."""
    if count == 1:
        name = dice.pick(_NAMES)
        settings = [setting for setting in SUITING[THINGS[name].place] if setting != "night" or name not in BY_DAY_ONLY]
        bare = "studio" in settings and dice.chance(BARE)
        return "studio" if bare else dice.pick(settings), (name,)
    setting = dice.pick(_CROWDED)
    return setting, tuple(dice.sample(_BY_SETTING[setting], count))


def _draw_poster(dice: Dice) -> Board:
    return Board("poster", dice.pick(lettering.TITLES), tuple(dice.sample(lettering.DETAILS, dice.whole(2, 4))))


def _pick_wall(dice: Dice) -> str | None:
    """The setting a poster is in, None for the graphic itself."""
    return dice.pick(_CROWDED) if dice.chance(HUNG_UP) else None


def _add_board(text: str, board: Board, dice: Dice) -> Recipe:
    """A pair whose image shows the board: alone, or in a setting with a thing or two beside it."""
    if not dice.chance(HUNG_UP):
        return Recipe(text, board=board)
    setting, things = _draw_things(dice, 2)
    return Recipe(text, board=board, setting=setting, things=things[: dice.whole(1, 2)])


def _draw_screenshot(dice: Dice) -> Board:
    look = dice.weighted({"chat": 0.35, "article": 0.25, "list": 0.25, "chart": 0.15})
    if look == "chat":
        return Board(
            look,
            dice.pick(lettering.CHAT_NAMES),
            tuple(dice.sample(lettering.CHAT_LINES, dice.whole(3, 6))),
        )
    if look == "article":
        return Board(look, dice.pick(lettering.HEADLINES), (dice.pick(lettering.BYLINES),))
    if look == "list":
        title = dice.pick(tuple(lettering.LISTS))
        return Board(look, title, tuple(dice.sample(lettering.LISTS[title], dice.whole(3, 5))))
    return Board(look, dice.pick(lettering.CHART_TITLES), tuple(dice.sample(lettering.CHART_BARS, dice.whole(3, 5))))


def _plan_backdrop(kind: str) -> Callable[[Dice], Recipe]:
    return lambda dice: Recipe(_write_unrelated(dice), backdrop=kind)


def _plan_unrelated_screenshot(dice: Dice) -> Recipe:
    return _add_board(_write_unrelated(dice), _draw_screenshot(dice), dice)


def _plan_unrelated_poster(dice: Dice) -> Recipe:
    return _add_board(_write_unrelated(dice), _draw_poster(dice), dice)


def _plan_unrelated_crowd(dice: Dice) -> Recipe:
    setting, things = _draw_things(dice, dice.whole(4, 6))
    return Recipe(_write_unrelated(dice), setting=setting, things=things)


def _plan_unrelated_subject(dice: Dice) -> Recipe:
    setting, things = _draw_things(dice, 1)
    return Recipe(_write_unrelated(dice), setting=setting, things=things)


def _plan_named_subject(dice: Dice) -> Recipe:
    setting, things = _draw_things(dice, 1)
    return Recipe(_write_about(things, setting, dice), setting=setting, things=things)


def _plan_named_setting(dice: Dice) -> Recipe:
    setting = dice.pick(_LANDSCAPES)
    return Recipe(_write_about((), setting, dice), setting=setting)


def _plan_named_crowd(dice: Dice) -> Recipe:
    setting, things = _draw_things(dice, dice.whole(2, 3))
    return Recipe(_write_about(things, setting, dice), setting=setting, things=things)


def _plan_repeated_poster(dice: Dice) -> Recipe:
    if dice.chance(0.4):
        saying = dice.pick(lettering.QUOTES)
        return Recipe(
            sentences.type_tweet(sentences.quote(saying, dice), (), dice),
            board=Board("poster", saying),
            setting=_pick_wall(dice),
        )
    board = _draw_poster(dice)
    details = board.lines[:2]
    text = sentences.type_tweet(sentences.announce_all(board.title, details, dice), (), dice)
    return Recipe(text, board=Board("poster", board.title, details), setting=_pick_wall(dice))


def _plan_completed_crowd(dice: Dice) -> Recipe:
    setting, things = _draw_things(dice, dice.whole(4, 6))
    return Recipe(
        _write_about(things[:1] if dice.chance(0.7) else things[:2], setting, dice),
        setting=setting,
        things=things,
    )


def _plan_hinted_pair(dice: Dice) -> Recipe:
    setting, things = _draw_things(dice, 2)
    return Recipe(
        sentences.type_tweet(sentences.hint(things[0], dice), things[:1], dice),
        setting=setting,
        things=things,
    )


def _plan_informing_poster(dice: Dice) -> Recipe:
    board = _draw_poster(dice)
    return _add_board(sentences.type_tweet(sentences.announce(board.title, dice), (), dice), board, dice)


def _plan_chat_about(dice: Dice) -> Recipe:
    name = dice.pick(_NAMES)
    lines = dice.sample(lettering.CHAT_LINES, dice.whole(2, 4))
    asked = dice.pick(("where is the {a}?", "did you see the {a}", "the {a} is mine", "who broke the {a}")).format(
        a=name
    )
    board = Board("chat", dice.pick(lettering.CHAT_NAMES), (lines[0], asked, *lines[1:]))
    return _add_board(_write_about((name,), None, dice), board, dice)


_PLANS: dict[str, Callable[[Dice], Recipe]] = {
    "plain": _plan_backdrop("plain"),
    "patterned": _plan_backdrop("patterned"),
    "busy": _plan_backdrop("busy"),
    "unrelated screenshot": _plan_unrelated_screenshot,
    "unrelated poster": _plan_unrelated_poster,
    "unrelated crowd": _plan_unrelated_crowd,
    "unrelated subject": _plan_unrelated_subject,
    "named subject": _plan_named_subject,
    "named setting": _plan_named_setting,
    "named crowd": _plan_named_crowd,
    "repeated poster": _plan_repeated_poster,
    "completed crowd": _plan_completed_crowd,
    "hinted pair": _plan_hinted_pair,
    "informing poster": _plan_informing_poster,
    "chat about": _plan_chat_about,
}

_WAYS: dict[str, dict[str, float]] = {
    "00": {"plain": 0.76, "patterned": 0.14, "busy": 0.1},
    "01": {
        "unrelated screenshot": 0.28,
        "unrelated poster": 0.16,
        "unrelated crowd": 0.39,
        "unrelated subject": 0.17,
    },
    "10": {"named subject": 0.66, "named setting": 0.12, "named crowd": 0.11, "repeated poster": 0.11},
    "11": {"completed crowd": 0.54, "hinted pair": 0.17, "informing poster": 0.2, "chat about": 0.09},
}
"""For each relation, the weights of its ways; the last ones of a row look like another class."""
