"""The catalog's tables."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "dataset",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("layout", sa.String(length=32), nullable=False),
        sa.Column("annotations_key", sa.String(length=512), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dataset"),
        sa.UniqueConstraint("name", name="uq_dataset_name"),
    )
    op.create_table(
        "landing_object",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("etag", sa.String(length=128), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("pairs", sa.Integer(), nullable=False),
        sa.Column("duplicates", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("flow_run_id", sa.String(length=64), nullable=True),
        sa.Column("ingested_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name="fk_landing_object_dataset_id"),
        sa.PrimaryKeyConstraint("id", name="pk_landing_object"),
        sa.UniqueConstraint("dataset_id", "key", "etag", name="uq_landing_object_dataset_id_key_etag"),
    )
    op.create_table(
        "model_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("mlflow_run_id", sa.String(length=64), nullable=False),
        sa.Column("experiment", sa.String(length=128), nullable=False),
        sa.Column("task", sa.String(length=16), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("dataset_hash", sa.String(length=64), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=True),
        sa.Column("model_version", sa.String(length=32), nullable=True),
        sa.Column("git_commit", sa.String(length=64), nullable=True),
        sa.Column("flow_run_id", sa.String(length=64), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name="fk_model_run_dataset_id"),
        sa.PrimaryKeyConstraint("id", name="pk_model_run"),
        sa.UniqueConstraint("mlflow_run_id", name="uq_model_run_mlflow_run_id"),
    )
    op.create_table(
        "shard",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=512), nullable=False),
        sa.Column("pairs", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("flow_run_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name="fk_shard_dataset_id"),
        sa.PrimaryKeyConstraint("id", name="pk_shard"),
        sa.UniqueConstraint("dataset_id", "hash", name="uq_shard_dataset_id_hash"),
        sa.UniqueConstraint("dataset_id", "position", name="uq_shard_dataset_id_position"),
    )
    op.create_index("ix_shard_hash", "shard", ["hash"], unique=False)

    op.create_table(
        "label_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("shard_id", sa.Integer(), nullable=False),
        sa.Column("text_version", sa.String(length=32), nullable=False),
        sa.Column("image_version", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=512), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("pairs", sa.Integer(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("flow_run_id", sa.String(length=64), nullable=True),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_label_file_shard_id"),
        sa.PrimaryKeyConstraint("id", name="pk_label_file"),
        sa.UniqueConstraint(
            "shard_id",
            "text_version",
            "image_version",
            name="uq_label_file_shard_id_text_version_image_version",
        ),
    )
    op.create_table(
        "quarantined_tweet",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("landing_object_id", sa.Integer(), nullable=False),
        sa.Column("object_key", sa.String(length=1024), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("tweet_id", sa.String(length=64), nullable=True),
        sa.Column("image_key", sa.String(length=1024), nullable=True),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=1024), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name="fk_quarantined_tweet_dataset_id"),
        sa.ForeignKeyConstraint(
            ["landing_object_id"], ["landing_object.id"], name="fk_quarantined_tweet_landing_object_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_quarantined_tweet"),
        sa.UniqueConstraint("landing_object_id", "line", name="uq_quarantined_tweet_landing_object_id_line"),
    )
    op.create_index("ix_quarantined_tweet_code", "quarantined_tweet", ["code"], unique=False)
    op.create_index("ix_quarantined_tweet_dataset_id", "quarantined_tweet", ["dataset_id"], unique=False)

    op.create_table(
        "stored_tweet",
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("tweet_id", sa.String(length=64), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("shard_id", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("landing_object_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name="fk_stored_tweet_dataset_id"),
        sa.ForeignKeyConstraint(["landing_object_id"], ["landing_object.id"], name="fk_stored_tweet_landing_object_id"),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_stored_tweet_shard_id"),
        sa.PrimaryKeyConstraint("dataset_id", "tweet_id", name="pk_stored_tweet"),
    )
    op.create_index("ix_stored_tweet_shard_id", "stored_tweet", ["shard_id"], unique=False)
    op.create_index("ix_stored_tweet_tweet_id", "stored_tweet", ["tweet_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_stored_tweet_tweet_id", "stored_tweet")
    op.drop_index("ix_stored_tweet_shard_id", "stored_tweet")

    op.drop_table("stored_tweet")
    op.drop_index("ix_quarantined_tweet_dataset_id", "quarantined_tweet")
    op.drop_index("ix_quarantined_tweet_code", "quarantined_tweet")

    op.drop_table("quarantined_tweet")
    op.drop_table("label_file")
    op.drop_index("ix_shard_hash", "shard")

    op.drop_table("shard")
    op.drop_table("model_run")
    op.drop_table("landing_object")
    op.drop_table("dataset")
