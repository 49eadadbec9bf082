"""What lies in the quarantine: rows by reason, each with where it stands and what repairs it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, func, select

from infra.catalog.database import Catalog
from infra.catalog.tables import Dataset, LandingObject, QuarantinedTweet, QuarantineRest
from itrp.data.rejections import REASONS, describe_reason, find_remedy
from itrp.errors import WrongUseError
from serving.errors import NotFoundError

LANDING = "landing"
"""Layout of the data set that can be replayed; others are ingested whole."""


@dataclass(frozen=True)
class QuarantineFilter:
    """Which unresolved rows are meant; None means all."""

    reason: str | None = None
    since: datetime | None = None
    data: str | None = None

    def select(self, *columns: Any) -> Select[Any]:
        """A query for these columns of the rows and their data sets."""
        query = select(*columns).select_from(QuarantinedTweet)
        query = query.join(Dataset, Dataset.id == QuarantinedTweet.dataset_id)
        query = query.where(QuarantinedTweet.resolved_at.is_(None))
        if self.reason is not None:
            query = query.where(QuarantinedTweet.code == self.reason)
        if self.since is not None:
            query = query.where(QuarantinedTweet.created_at >= self.since)
        return query.where(Dataset.name == self.data) if self.data is not None else query

    def count_without_row(self) -> Select[str, int]:
        """Reason code and number of the records that were counted only: a batch keeps no more rows of a reason."""
        query = select(QuarantineRest.code, func.sum(QuarantineRest.records))
        query = query.join(LandingObject, LandingObject.id == QuarantineRest.landing_object_id)
        query = query.join(Dataset, Dataset.id == LandingObject.dataset_id)
        if self.reason is not None:
            query = query.where(QuarantineRest.code == self.reason)
        if self.since is not None:
            query = query.where(LandingObject.ingested_at >= self.since)
        if self.data is not None:
            query = query.where(Dataset.name == self.data)
        return query.group_by(QuarantineRest.code)


@dataclass(frozen=True)
class QuarantineRow:
    """One rejected record."""

    data: str
    key: str
    line: int
    tweet_id: str | None
    image_key: str | None
    reason: str
    since: datetime


@dataclass(frozen=True)
class QuarantineGroup:
    """All records of one reason code; `rows` are the first of them by key and line."""

    code: str
    count: int
    without_row: int
    """Those of them that were counted only."""
    meaning: str
    remedy: str
    next_steps: tuple[str, ...]
    rows: tuple[QuarantineRow, ...] = field(default=())


def parse_since(text: str) -> datetime:
    """A day or a point in time in ISO 8601, UTC where it names no zone. Raises WrongUseError."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise WrongUseError(
            f"--since: expected a date such as 2026-11-29 or 2026-11-29T18:00, found {text[:40]!r}"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def list_quarantine(catalog: Catalog, chosen: QuarantineFilter, limit: int | None = None) -> list[QuarantineGroup]:
    """The unresolved records by reason, the most frequent first; at most `limit` rows of each, all with None.

    Raises WrongUseError for a reason code that does not exist, NotFoundError for an unknown data set.
    """
    counted = chosen.select(QuarantinedTweet.code, func.count()).group_by(QuarantinedTweet.code)
    with catalog.session() as session:
        known: dict[str, str] = dict(session.execute(select(Dataset.name, Dataset.layout)).all())
        if chosen.data is not None and chosen.data not in known:
            raise NotFoundError(
                f"no data set is called {chosen.data!r}: there are {', '.join(sorted(known)) or 'none yet'}"
            )
        counts: Counter[str] = Counter(dict(session.execute(counted).all()))
        rest: Counter[str] = Counter(dict(session.execute(chosen.count_without_row()).all()))
        counts.update(rest)
        if chosen.reason is not None and chosen.reason not in {*REASONS, *counts}:
            raise WrongUseError(f"--reason: expected one of {', '.join(sorted(REASONS))}, found {chosen.reason[:40]!r}")
        groups = []
        for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            query = chosen.select(QuarantinedTweet, Dataset.name).where(QuarantinedTweet.code == code)
            query = query.order_by(Dataset.name, QuarantinedTweet.object_key, QuarantinedTweet.line).limit(limit)
            rows = tuple(_describe(tweet, name) for tweet, name in session.execute(query))
            names = session.scalars(chosen.select(Dataset.name).where(QuarantinedTweet.code == code).distinct())
            steps = tuple(sorted(_describe_next(name, known[name]) for name in names))
            groups.append(
                QuarantineGroup(code, count, rest[code], describe_reason(code), find_remedy(code), steps, rows)
            )
    return groups


def describe_quarantine(groups: list[QuarantineGroup]) -> str:
    """The groups as a person reads them."""
    if not groups:
        return "nothing is quarantined"
    total = sum(group.count for group in groups)
    lines = [f"{total} quarantined, {len(groups)} reason{'s' if len(groups) > 1 else ''}"]
    for group in groups:
        lines += ["", f"{group.count:6d}  {group.code}: {group.meaning}", f"        remedy: {group.remedy}"]
        lines += [f"        then: {step}" for step in group.next_steps]
        lines += [
            f"    {row.key}:{row.line}  {f'tweet {row.tweet_id}  ' if row.tweet_id else ''}{row.reason}"
            for row in group.rows
        ]
        if hidden := group.count - group.without_row - len(group.rows):
            lines.append(f"    and {hidden} more: --limit {group.count - group.without_row} shows them")
        if group.without_row:
            lines.append(f"    and {group.without_row} that were counted only: --replay tries them too")
    return "\n".join(lines)


def _describe(tweet: QuarantinedTweet, data: str) -> QuarantineRow:
    return QuarantineRow(
        data, tweet.object_key, tweet.line, tweet.tweet_id, tweet.image_key, tweet.reason, tweet.created_at
    )


def _describe_next(name: str, layout: str) -> str:
    if layout == LANDING:
        return "itrp quarantine --replay tries the landing zone's rows again"
    return f"the data set {name} is ingested whole: itrp ingest {layout} again, with another --name"
