"""Alembic's entry: runs the migrations on the connection it is given, inside that connection's transaction.

It configures no logging: that is done once, by `infra.logs`. To write the next revision after changing
`infra.catalog.tables`, on a catalog that is at head:

    with Catalog(url).connect() as connection:
        alembic.command.revision(alembic_config(connection), "what changes", autogenerate=True, rev_id="0002")
"""

from typing import Any, Literal

from alembic import context

import infra.catalog.review_tables  # noqa: F401  its tables are among those compared
from infra.catalog.tables import Base, UtcDateTime
from infra.catalog.words import WORDS


def render_item(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Write our own column type as the plain one, so that an old migration never imports today's code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Leave out the index of words, which each database keeps in its own kind of table (migration 0005)."""
    return not (kind == "table" and name is not None and name.startswith(WORDS))


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_item=render_item,
    include_name=include_name,
    # SQLite can alter few things in place: Alembic copies the table instead.
    render_as_batch=connection.dialect.name == "sqlite",
    # All revisions or none, on SQLite too: a killed migration leaves the catalog as it was.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
