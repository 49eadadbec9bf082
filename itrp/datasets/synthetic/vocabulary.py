"""The words of the synthetic tweets. Nothing here is taken from a real tweet."""

SETTING_WORDS: dict[str, tuple[str, ...]] = {
    "meadow": ("meadow", "grass", "field"),
    "sea": ("sea", "ocean", "waves"),
    "beach": ("beach", "sand"),
    "snow": ("snow",),
    "mountains": ("mountains",),
    "desert": ("desert",),
    "city": ("city", "downtown", "skyline"),
    "room": ("room",),
    "table": ("table", "counter"),
    "night": ("stars",),
    "studio": (),
}
"""How a tweet names a setting; every word of a row is visible in that setting."""

PEOPLE = (
    "grandma",
    "my sister",
    "my brother",
    "mum",
    "dad",
    "my neighbour",
    "the kids",
    "Sam",
    "Priya",
    "Jonas",
    "Aisha",
    "Leo",
    "my roommate",
    "our teacher",
    "Maya",
    "uncle Bob",
    "my cousin",
    "the girls",
    "Tom",
    "Ines",
)

ADJECTIVES = (
    "big",
    "tiny",
    "lovely",
    "old",
    "new",
    "lonely",
    "shiny",
    "beautiful",
    "funny looking",
    "brand new",
    "little",
    "huge",
    "perfect",
    "giant",
    "favourite",
    "gorgeous",
    "colourful",
    "sweet",
)

FEELINGS = (
    "tired",
    "happy",
    "blessed",
    "excited",
    "bored",
    "confused",
    "lucky",
    "stressed",
    "angry",
    "nervous",
    "inspired",
    "hopeful",
    "done",
)

PERIODS = ("week", "day", "month", "year", "weekend", "summer", "semester", "season")

TALK_TAGS = (
    "tbt",
    "blessed",
    "goals",
    "mood",
    "truth",
    "motivation",
    "life",
    "quote",
    "fridayfeeling",
    "thoughts",
    "follow",
    "win",
    "nofilter",
    "justsaying",
    "relatable",
    "smile",
    "success",
    "believe",
)

SPELLINGS: dict[str, str] = {
    "you": "u",
    "your": "ur",
    "are": "r",
    "because": "cuz",
    "the": "teh",
    "with": "w/",
    "and": "&",
    "this": "dis",
    "that": "taht",
    "really": "rly",
    "to": "2",
    "for": "4",
    "so": "sooo",
    "just": "jsut",
    "thanks": "thx",
    "please": "pls",
    "never": "nvr",
    "always": "alwyas",
    "what": "wat",
    "again": "agian",
}
"""Misspellings and shortenings; only of words that carry no content."""

EMOJI = (
    "\U0001f602",
    "\u2728",
    "\U0001f60d",
    "\U0001f62d",
    "\U0001f64f",
    "\U0001f525",
    "\U0001f60a",
    "\U0001f44d",
    "\U0001f389",
    "\U0001f4af",
)
"""Not the image of any thing in the catalogue."""

HANDLES = (
    "@user",
    "@someone_else",
    "@thedailynote",
    "@jo_writes",
    "@northstreet",
    "@mrs_lark",
    "@club1907",
    "@radio_kestrel",
    "@ninaontour",
)

_FUNCTION_WORDS = """
a about after again all already also always am an and another any are as at be because been before behind
being beside besides both but by can cant could did do does doing done dont down during each else ever every
everything few finally first for found from get go going got had has have having he her here him his how i
if in into is isn it its just know last later let like ll look lot made make may me mine more most much must
my need never new next no nobody none not nothing now of off ok on once one only or other our out over own
please ready really right said same saw says see she should so some still such than thank thanks that the
their them then there these they this those though three through to today too two under until up us use ve
very via want was we were what when where which while who why will with won would yes yet you your day week
month year goes left big small old time comes come moved
"""

FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that mean nothing by themselves: they are never what an image shows, and never what it adds."""
