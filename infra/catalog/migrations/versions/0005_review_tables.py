"""Who labels, what people said of tweets, and the index that tweets are found by."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "model_pair",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("text_version", sa.String(length=32), nullable=False),
        sa.Column("image_version", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_model_pair"),
        sa.UniqueConstraint("text_version", "image_version", name="uq_model_pair_text_version_image_version"),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=256), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_person"),
        sa.UniqueConstraint("name", name="uq_person_name"),
    )
    op.create_table(
        "indexed_shard",
        sa.Column("shard_id", sa.Integer(), nullable=False),
        sa.Column("tweets", sa.Integer(), nullable=False),
        sa.Column("indexed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_indexed_shard_shard_id"),
        sa.PrimaryKeyConstraint("shard_id", name="pk_indexed_shard"),
    )
    op.create_table(
        "indexed_tweet",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("tweet_id", sa.String(length=64), nullable=False),
        sa.Column("shard_id", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("lang", sa.String(length=32), nullable=True),
        sa.Column("random_key", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name="fk_indexed_tweet_dataset_id"),
        sa.ForeignKeyConstraint(["shard_id"], ["shard.id"], name="fk_indexed_tweet_shard_id"),
        sa.PrimaryKeyConstraint("id", name="pk_indexed_tweet"),
        sa.UniqueConstraint("dataset_id", "tweet_id", name="uq_indexed_tweet_dataset_id_tweet_id"),
    )
    op.create_index("ix_indexed_tweet_lang", "indexed_tweet", ["dataset_id", "lang"], unique=False)
    op.create_index(
        "ix_indexed_tweet_newest", "indexed_tweet", ["dataset_id", "created_us", "id", "lang"], unique=False
    )
    op.create_index(
        "ix_indexed_tweet_random",
        "indexed_tweet",
        ["dataset_id", "random_key", "id", "lang", "created_us"],
        unique=False,
    )
    op.create_index("ix_indexed_tweet_shard_id", "indexed_tweet", ["shard_id"], unique=False)

    op.create_table(
        "annotation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("tweet_id", sa.String(length=64), nullable=False),
        sa.Column("task", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.SmallInteger(), nullable=True),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("queue", sa.String(length=16), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("guideline", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=512), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("value IN (0, 1)", name="ck_annotation_value"),
        sa.ForeignKeyConstraint(
            ["dataset_id", "tweet_id"],
            ["stored_tweet.dataset_id", "stored_tweet.tweet_id"],
            name="fk_annotation_dataset_id_tweet_id",
        ),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name="fk_annotation_person"),
        sa.PrimaryKeyConstraint("id", name="pk_annotation"),
        sa.UniqueConstraint("token", "task", name="uq_annotation_token_task"),
    )
    op.create_index(
        "ix_annotation_current",
        "annotation",
        ["dataset_id", "tweet_id", "task", "person", "id", "kind", "queue"],
        unique=False,
    )
    op.create_index("ix_annotation_person_id", "annotation", ["person", "id"], unique=False)

    op.create_table(
        "doubtful_tweet",
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("tweet_id", sa.String(length=64), nullable=False),
        sa.Column("doubt", sa.Double(), nullable=False),
        sa.Column("source", sa.String(length=512), nullable=False),
        sa.Column("after_annotation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id", "tweet_id"],
            ["stored_tweet.dataset_id", "stored_tweet.tweet_id"],
            name="fk_doubtful_tweet_dataset_id_tweet_id",
        ),
        sa.PrimaryKeyConstraint("dataset_id", "tweet_id", name="pk_doubtful_tweet"),
    )
    op.create_table(
        "indexed_label_file",
        sa.Column("label_file_id", sa.Integer(), nullable=False),
        sa.Column("pair_id", sa.Integer(), nullable=False),
        sa.Column("labels", sa.Integer(), nullable=False),
        sa.Column("indexed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["label_file_id"], ["label_file.id"], name="fk_indexed_label_file_label_file_id"),
        sa.ForeignKeyConstraint(["pair_id"], ["model_pair.id"], name="fk_indexed_label_file_pair_id"),
        sa.PrimaryKeyConstraint("label_file_id", name="pk_indexed_label_file"),
    )
    op.create_index("ix_indexed_label_file_pair_id", "indexed_label_file", ["pair_id"], unique=False)

    op.create_table(
        "tweet_label",
        sa.Column("pair_id", sa.Integer(), nullable=False),
        sa.Column("tweet", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("relation", sa.SmallInteger(), nullable=False),
        sa.Column("text_probability", sa.Double(), nullable=False),
        sa.Column("image_probability", sa.Double(), nullable=False),
        sa.Column("certainty", sa.Double(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("lang", sa.String(length=32), nullable=True),
        sa.Column("random_key", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["pair_id"], ["model_pair.id"], name="fk_tweet_label_pair_id"),
        sa.ForeignKeyConstraint(["tweet"], ["indexed_tweet.id"], name="fk_tweet_label_tweet"),
        sa.PrimaryKeyConstraint("pair_id", "tweet", name="pk_tweet_label"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_tweet_label_certain",
        "tweet_label",
        [
            "dataset_id",
            "pair_id",
            "relation",
            "certainty",
            "tweet",
            "lang",
            "created_us",
            "text_probability",
            "image_probability",
        ],
        unique=False,
    )
    op.create_index(
        "ix_tweet_label_newest",
        "tweet_label",
        [
            "dataset_id",
            "pair_id",
            "relation",
            "created_us",
            "tweet",
            "lang",
            "text_probability",
            "image_probability",
            "certainty",
        ],
        unique=False,
    )
    op.create_index(
        "ix_tweet_label_random",
        "tweet_label",
        [
            "dataset_id",
            "pair_id",
            "relation",
            "random_key",
            "tweet",
            "lang",
            "created_us",
            "text_probability",
            "image_probability",
            "certainty",
        ],
        unique=False,
    )

    _keep_annotations()
    _create_words()


def _keep_annotations() -> None:
    """What people said is never changed nor removed, whoever asks: a correction is a further row."""
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER annotation_keep_{act.lower()} BEFORE {act} ON annotation "
                "BEGIN SELECT RAISE(ABORT, 'annotations are append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION keep_annotations() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'annotations are append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER annotation_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON annotation "
        "FOR EACH STATEMENT EXECUTE FUNCTION keep_annotations()"
    )


def _create_words() -> None:
    """The index of words: `infra.catalog.words` says what a word is, so neither database cuts a text its own way."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE tweet_words USING fts5(words, content='', columnsize=0, detail=none, tokenize='ascii')"
        )
        return
    op.execute(
        "CREATE TABLE tweet_words ("
        "tweet INTEGER NOT NULL CONSTRAINT pk_tweet_words PRIMARY KEY "
        "CONSTRAINT fk_tweet_words_tweet REFERENCES indexed_tweet (id), words TSVECTOR NOT NULL)"
    )
    op.execute("CREATE INDEX ix_tweet_words_words ON tweet_words USING gin (words)")


def downgrade() -> None:
    op.drop_table("tweet_words")
    op.drop_index("ix_tweet_label_random", "tweet_label")
    op.drop_index("ix_tweet_label_newest", "tweet_label")
    op.drop_index("ix_tweet_label_certain", "tweet_label")

    op.drop_table("tweet_label")
    op.drop_index("ix_indexed_label_file_pair_id", "indexed_label_file")

    op.drop_table("indexed_label_file")
    op.drop_table("doubtful_tweet")
    op.drop_index("ix_annotation_person_id", "annotation")
    op.drop_index("ix_annotation_current", "annotation")

    op.drop_table("annotation")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION keep_annotations()")
    op.drop_index("ix_indexed_tweet_shard_id", "indexed_tweet")
    op.drop_index("ix_indexed_tweet_random", "indexed_tweet")
    op.drop_index("ix_indexed_tweet_newest", "indexed_tweet")
    op.drop_index("ix_indexed_tweet_lang", "indexed_tweet")

    op.drop_table("indexed_tweet")
    op.drop_table("indexed_shard")
    op.drop_table("person")
    op.drop_table("model_pair")
