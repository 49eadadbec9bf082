"""Refused records beyond the first of a batch and reason: counted, and known by their lines."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "quarantine_rest",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("landing_object_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("lines", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["landing_object_id"], ["landing_object.id"], name="fk_quarantine_rest_landing_object_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine_rest"),
        sa.UniqueConstraint("landing_object_id", "code", name="uq_quarantine_rest_landing_object_id_code"),
    )


def downgrade() -> None:
    op.drop_table("quarantine_rest")
