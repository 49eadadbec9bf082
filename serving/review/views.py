"""A view of the tweets as its address says it: filter, order and place, so that every view has a permalink."""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from starlette.datastructures import QueryParams

from infra.catalog.review_tables import ModelPair
from infra.catalog.tweet_filter import RELATIONS, Human, Order, TweetFilter
from itrp.labels import RELATIONS as RELATION_CODES
from serving.review.rendering import make_link

PAGE = 24
"""Tweets a page: rows of 2, 3, 4 and 6 are full."""
LONGEST_SEED = 10
CODES = tuple(RELATION_CODES)
"""Relation codes by class index, 2 * text + image."""


@dataclass(frozen=True)
class View:
    """What is looked at, as the form shows it: every value a text that fits its field."""

    dataset: str
    models: str = ""
    """Id of a pair of models; empty for none."""
    relation: tuple[str, ...] = ()
    """Relation codes; empty for all."""
    text_least: str = ""
    text_most: str = ""
    image_least: str = ""
    image_most: str = ""
    lang: str = ""
    since: str = ""
    until: str = ""
    """The last day that is shown."""
    words: str = ""
    human: str = Human.ANY
    order: str = Order.NEWEST
    seed: str = "1"
    labels: bool = False
    """Whether people's labels are shown."""
    after: str = ""
    before: str = ""
    problems: tuple[str, ...] = field(default=(), compare=False)
    """What of the address cannot mean anything, and is left out."""

    def link(self, **changes: Any) -> str:
        """The address of this view with some values changed; without a place unless one is given."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "problems"}
        values |= {"after": "", "before": ""} | changes
        relation = tuple(values.pop("relation"))
        values["relation"] = ",".join(relation)
        values["labels"] = "1" if values["labels"] else ""
        if values["order"] != Order.RANDOM:
            values["seed"] = ""
        defaults = {"order": Order.NEWEST, "human": Human.ANY}
        kept = {name: value for name, value in values.items() if defaults.get(name) != value}
        return make_link("/browse", **kept)


def read_view(query: QueryParams, dataset: str, pairs: list[ModelPair]) -> View:
    """The view an address says; a pair of models is the newest one unless "none" is asked for."""
    reader = _Reader(query)
    known = {str(pair.id) for pair in pairs}
    newest = str(pairs[0].id) if pairs else ""
    models = query.get("models", newest)
    order = reader.choose("order", [*Order], Order.NEWEST)
    given = [code for value in query.getlist("relation") for code in value.split(",") if code]
    view = View(
        dataset=dataset,
        models=models if models in known else "none" if models == "none" and pairs else newest,
        relation=tuple(code for code in CODES if code in given),
        text_least=reader.percent("text_least"),
        text_most=reader.percent("text_most"),
        image_least=reader.percent("image_least"),
        image_most=reader.percent("image_most"),
        lang=query.get("lang", "")[:32],
        since=reader.day("since"),
        until=reader.day("until"),
        words=query.get("words", "").replace("\0", "")[:200],
        human=reader.choose("human", [*Human], Human.ANY),
        order=order,
        seed=reader.whole("seed", "1"),
        labels=query.get("labels") == "1",
        after=query.get("after", "")[:400],
        before=query.get("before", "")[:400],
    )
    problems, changes = _find_contradictions(view)
    return replace(view, problems=(*reader.problems, *problems), **changes)


def make_filter(view: View, dataset_id: int) -> TweetFilter:
    """The catalog's filter. What needs a pair of models is left out where the view has none."""
    pair = int(view.models) if view.models.isdigit() else None
    dates = {"since": _start_of(view.since), "until": _start_of(view.until, days=1)}
    common: dict[str, Any] = {
        "dataset_id": dataset_id,
        "lang": view.lang or None,
        "words": view.words,
        "human": Human(view.human),
        **dates,
    }
    if pair is None:
        return TweetFilter(**common)
    return TweetFilter(
        **common,
        pair_id=pair,
        relations=frozenset(CODES.index(code) for code in view.relation) or RELATIONS,
        text_probability=_bounds(view.text_least, view.text_most),
        image_probability=_bounds(view.image_least, view.image_most),
    )


def _bounds(least: str, most: str) -> tuple[float, float]:
    return (int(least) / 100 if least else 0.0, int(most) / 100 if most else 1.0)


def _start_of(day: str, days: int = 0) -> datetime | None:
    return datetime.combine(date.fromisoformat(day) + timedelta(days=days), time(), UTC) if day else None


def _find_contradictions(view: View) -> tuple[list[str], dict[str, Any]]:
    """What of the view no tweet can fulfil, in sentences, and the values that stand without it."""
    problems: list[str] = []
    changes: dict[str, Any] = {}
    if view.since and view.until and view.since > view.until:
        problems.append("The first day lies behind the last one: both are left out.")
        changes |= {"since": "", "until": ""}
    for name in ("text", "image"):
        least, most = getattr(view, f"{name}_least"), getattr(view, f"{name}_most")
        if least and most and int(least) > int(most):
            problems.append("The least probability is above the greatest: both are left out.")
            changes |= {f"{name}_least": "", f"{name}_most": ""}
    if view.order == Order.LEAST_CERTAIN and not view.models.isdigit():
        problems.append("“Least certain first” needs a pair of models: the newest tweets come first.")
        changes["order"] = Order.NEWEST
    return problems, changes


class _Reader:
    """Reads values of an address; what cannot be read is told and taken as not given."""

    def __init__(self, query: QueryParams) -> None:
        self._query = query
        self.problems: list[str] = []

    def choose(self, name: str, choices: list[Any], default: str) -> str:
        value = self._query.get(name, "") or default
        return value if value in choices else self._reject(name, value, ", ".join(map(str, choices)), default)

    def percent(self, name: str) -> str:
        value = self._query.get(name, "").strip()
        known = not value or (value.isascii() and value.isdigit() and int(value[:4]) <= 100 and len(value) <= 3)
        return value if known else self._reject(name, value, "a whole number from 0 to 100", "")

    def whole(self, name: str, default: str) -> str:
        value = self._query.get(name, "").strip() or default
        known = value.isascii() and value.isdigit() and len(value) <= LONGEST_SEED
        return value if known else self._reject(name, value, "a whole number", default)

    def day(self, name: str) -> str:
        value = self._query.get(name, "").strip()
        if not value:
            return ""
        try:
            found = date.fromisoformat(value)
        except ValueError:
            return self._reject(name, value, "a day such as 2026-11-30", "")
        return found.isoformat() if found < date.max else ""

    def _reject(self, name: str, value: str, expected: str, default: str) -> str:
        self.problems.append(f"{name}: expected {expected}, found “{value[:40]}”: it is left out.")
        return default
