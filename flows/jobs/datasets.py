"""Data sets by name, with errors that help."""

from dataclasses import dataclass

from sqlalchemy import select

from infra.catalog.database import Catalog
from infra.catalog.queries import dataset_hash, get_dataset, list_shards
from infra.catalog.tables import Dataset, Shard
from serving.errors import NotFoundError

LANDING = "landing"
"""The data set that tweets from the landing zone go to, and that scoring labels."""
REVIEWED = "reviewed"
"""The data set that is made of people's labels (`flows.jobs.reviewed`)."""


@dataclass(frozen=True)
class KnownData:
    """A data set of the catalog as it is now."""

    dataset: Dataset
    shards: list[Shard]
    hash: str

    @property
    def pairs(self) -> int:
        """Pairs in all shards."""
        return sum(shard.pairs for shard in self.shards)


def find_data(catalog: Catalog, name: str) -> KnownData:
    """The named data set. Raises NotFoundError naming those there are when there is none or it is empty."""
    with catalog.session() as session:
        dataset = get_dataset(session, name)
        known = sorted(session.scalars(select(Dataset.name)))
        if dataset is None:
            there = f"there are {', '.join(known)}" if known else "there is none yet; `itrp ingest` creates one"
            raise NotFoundError(f"no data set is called {name!r}: {there}")
        shards = list_shards(session, name)
        if not shards:
            raise NotFoundError(f"the data set {name!r} holds no pair yet: ingest some first")
        return KnownData(dataset, shards, dataset_hash(session, dataset))


def find_labelled_name(catalog: Catalog, *, without: str | None = None) -> str | None:
    """The newest data set with human labels, None when there is none. without: a layout that does not count."""
    query = (
        select(Dataset.name)
        .where(Dataset.annotations_key.is_not(None), Dataset.layout != (without or ""))
        .order_by(Dataset.created_at.desc(), Dataset.id.desc())
    )
    with catalog.session() as session:
        return session.scalars(query).first()
