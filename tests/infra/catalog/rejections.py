"""What a catalog knows of rejections, counted whichever of its tables holds them."""

from collections import Counter

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from infra.catalog.tables import QuarantinedTweet, QuarantineRest


def count_rejections(session: Session, landing_object_id: int) -> dict[str, int]:
    """Reason code -> records of a landing object that are refused for it today; exact, whatever has a row."""
    rows = (
        select(QuarantinedTweet.code, func.count())
        .where(QuarantinedTweet.landing_object_id == landing_object_id, QuarantinedTweet.resolved_at.is_(None))
        .group_by(QuarantinedTweet.code)
    )
    rest = select(QuarantineRest.code, QuarantineRest.records).where(
        QuarantineRest.landing_object_id == landing_object_id
    )
    counts: Counter[str] = Counter()
    for query in (rows, rest):
        counts.update(dict(session.execute(query).all()))
    return dict(sorted(counts.items()))
