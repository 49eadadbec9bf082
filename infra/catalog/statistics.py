"""What a database's planner knows of the index of tweets, brought up to date after much was entered."""

from sqlalchemy import text

from infra.catalog.database import Catalog
from infra.catalog.review_tables import IndexedTweet, TweetLabel
from infra.catalog.words import WORDS

SAMPLE = 1000
"""Rows of an index that SQLite looks at."""


def refresh_statistics(catalog: Catalog) -> None:
    """Count anew what is how frequent."""
    with catalog.connect() as connection:
        tables = [IndexedTweet.__tablename__, TweetLabel.__tablename__]
        if connection.dialect.name == "sqlite":
            connection.execute(text(f"PRAGMA analysis_limit = {SAMPLE}"))
        else:
            tables.append(WORDS)
        for table in tables:
            connection.execute(text(f"ANALYZE {table}"))
