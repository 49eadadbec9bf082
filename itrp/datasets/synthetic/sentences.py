"""The texts: what is said, then how it is typed (case, spelling, hashtags, handles, emoji, link)."""

from collections.abc import Sequence

from itrp.datasets.synthetic import templates
from itrp.datasets.synthetic import vocabulary as words
from itrp.datasets.synthetic.dice import Dice
from itrp.datasets.synthetic.recipes import content_words
from itrp.datasets.synthetic.things import THINGS

_LINK_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_PLACES = ("", "", "in the {s}", "near the {s}")
_PLACES_ON = ("", "", "on the {s}", "by the {s}")
_STOOD_ON = frozenset({"table", "beach", "meadow"})


def describe(names: Sequence[str], setting: str | None, dice: Dice) -> str:
    """A sentence that names every one of 0 to 3 things, and sometimes (always without things) the setting."""
    setting_words = words.SETTING_WORDS[setting] if setting else ()
    if not names:
        return _fill(dice.pick(templates.DESCRIBE_SETTING), dice, s=dice.pick(setting_words))
    places = _PLACES_ON if setting in _STOOD_ON else _PLACES
    where = dice.pick(places).format(s=dice.pick(setting_words)) if setting_words else ""
    describing = (templates.DESCRIBE_ONE, templates.DESCRIBE_TWO, templates.DESCRIBE_THREE)[len(names) - 1]
    return _fill(dice.pick(describing), dice, where=where, **dict(zip("abc", names, strict=False)))


def mention(name: str, dice: Dice) -> str:
    """Talk in which one thing is named in passing."""
    return _fill(dice.pick(templates.TERSE), dice, a=name)


def hint(name: str, dice: Dice) -> str:
    """A sentence that names one thing and leaves the rest to the image."""
    return _fill(dice.pick(templates.HINT), dice, a=name, where="")


def talk(dice: Dice) -> str:
    """A sentence that names nothing one could see."""
    return _fill(dice.pick(templates.TALK), dice)


def announce(title: str, dice: Dice) -> str:
    """A sentence that names an event by its title."""
    return dice.pick(templates.ANNOUNCE).format(title=title)


def announce_all(title: str, details: Sequence[str], dice: Dice) -> str:
    """A sentence that says everything a poster says."""
    return dice.pick(templates.ANNOUNCE_ALL).format(title=title, details=", ".join(details))


def quote(saying: str, dice: Dice) -> str:
    """A sentence around a saying."""
    return dice.pick(templates.QUOTE_FRAMES).format(quote=saying)


def _fill(template: str, dice: Dice, **slots: str) -> str:
    adjective = dice.pick(words.ADJECTIVES)
    text = template.format_map(
        {
            "where": "",
            "adj": adjective,
            "person": dice.pick(words.PEOPLE),
            "feeling": dice.pick(words.FEELINGS),
            "period": dice.pick(words.PERIODS),
            **slots,
        }
    )
    text = (
        " ".join(text.split())
        .replace(" ,", ",")
        .replace(" !", "!")
        .replace(" ?", "?")
        .replace(" a a", " an a")
        .replace(" a o", " an o")
    )
    return text[0].upper() + text[1:] if dice.chance(0.6) else text


def type_tweet(sentence: str, names: Sequence[str], dice: Dice) -> str:
    """The sentence as somebody typed it. `names` are the things it is about: some get their hashtag."""
    if dice.chance(0.25):
        sentence = sentence.lower()
    if dice.chance(0.2):
        sentence = _misspell(sentence, dice)
    parts = [sentence, *(f"#{tag}" for tag in _pick_hashtags(names, dice))]
    if dice.chance(0.22):
        parts.append(dice.pick(words.EMOJI) * dice.whole(1, 3))
    if dice.chance(0.12):
        parts.insert(dice.pick((0, len(parts))), dice.pick(words.HANDLES))
    if dice.chance(0.1):
        parts.insert(0, f"RT {dice.pick(words.HANDLES)}:")
    if dice.chance(0.8):
        parts.append("https://t.co/" + "".join(dice.pick(_LINK_LETTERS) for _ in range(10)))
    return " ".join(parts)


def _pick_hashtags(names: Sequence[str], dice: Dice) -> list[str]:
    tags = [THINGS[name].hashtag for name in names if dice.chance(0.3)]
    if dice.chance(0.12 if names else 0.3):
        tags += dice.sample(words.TALK_TAGS, dice.whole(1, 2))
    return tags


def _misspell(sentence: str, dice: Dice) -> str:
    typed = [words.SPELLINGS.get(word.lower(), word) if dice.chance(0.7) else word for word in sentence.split(" ")]
    misspelt = " ".join(typed)
    # a slip must not turn one content word into another: the labels follow from these
    return misspelt if content_words(misspelt) >= content_words(sentence) else sentence
