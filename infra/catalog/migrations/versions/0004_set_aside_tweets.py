"""Tweets of a labelled shard that have no label, and what people were told of."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # every shard was labelled whole so far, or not at all
    op.add_column("label_file", sa.Column("set_aside", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "set_aside_tweet",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("label_file_id", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("tweet_id", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=1024), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["label_file_id"], ["label_file.id"], name="fk_set_aside_tweet_label_file_id"),
        sa.PrimaryKeyConstraint("id", name="pk_set_aside_tweet"),
        sa.UniqueConstraint("label_file_id", "row", name="uq_set_aside_tweet_label_file_id_row"),
    )
    op.create_index("ix_set_aside_tweet_tweet_id", "set_aside_tweet", ["tweet_id"], unique=False)
    op.create_table(
        "notice",
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_notice"),
    )


def downgrade() -> None:
    op.drop_table("notice")
    op.drop_index("ix_set_aside_tweet_tweet_id", "set_aside_tweet")
    op.drop_table("set_aside_tweet")
    op.drop_column("label_file", "set_aside")
