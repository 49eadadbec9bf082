"""Our side of the scoring benchmark: shards in an S3 server, a catalog in SQLite, saved models as pinned versions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.catalog.database import Catalog, open_catalog
from infra.catalog.queries import get_or_create_dataset
from infra.catalog.tables import Shard
from infra.object_store import ObjectStore
from itrp.data.inputs import ShardFile
from itrp.data.shards import shard_key
from itrp.inference.runtimes import Precision
from itrp.labels import Task
from serving.registry import DATASET_TAG, MODEL_NAMES, ModelPair, ModelVersion, Registry
from serving.scorer import BatchScorer
from tests.benchmarks.object_store import start_seaweedfs


class SavedModels(Registry):
    """Versions that lie in folders: what a registry has fetched before."""

    def __init__(self, folders: dict[str, Path], cache: Path) -> None:
        super().__init__("sqlite://", cache)
        self.folders = folders

    def fetch(self, version: ModelVersion) -> Path:
        """The folder of `text-1`, `image-2`, ..."""
        return self.folders[f"{version.task}-{version.version}"]


@dataclass(frozen=True)
class Bench:
    """Everything a scorer needs; its cache is new."""

    store: ObjectStore
    catalog: Catalog
    registry: SavedModels
    shards: list[Shard]
    folder: Path

    def make_scorer(self, text: str, image: str, *, precision: Precision, kept: Path) -> BatchScorer:
        """A scorer of two versions whose models are loaded. kept: verdicts on runtimes and int8 encoders, from earlier turns."""
        cache = self.folder / "cache"
        if not cache.exists():
            cache.mkdir()
            for name in ("checks", "int8"):
                (kept / name).mkdir(exist_ok=True)
                (cache / name).symlink_to(kept / name)
        pair = ModelPair(_version(Task.TEXT, text), _version(Task.IMAGE, image))
        scorer = BatchScorer(
            self.store, self.catalog, self.registry, pair, cache=cache, device="cpu", precision=precision
        )
        scorer._labeller  # noqa: B018  # loading is no part of a rate
        return scorer


@contextmanager
def open_bench(folder: Path, models: dict[str, Path], files: Sequence[ShardFile]) -> Iterator[Bench]:
    """The shards put into a store and entered in a catalog."""
    with start_seaweedfs(folder) as (_, store):
        catalog = open_catalog(f"sqlite:///{folder}/catalog.db")
        with catalog.session() as session:
            dataset = get_or_create_dataset(session, "landing", "landing")
            for position, file in enumerate(files):
                key, size = shard_key(file.hash), file.path.stat().st_size
                store.put(key, file.path)
                dataset.shards.append(Shard(position=position, hash=file.hash, key=key, pairs=file.pairs, size=size))
            session.flush()
            shards = list(dataset.shards)
        yield Bench(store, catalog, SavedModels(models, folder / "models"), shards, folder)


def _version(task: Task, number: str) -> ModelVersion:
    return ModelVersion(
        name=MODEL_NAMES[task],
        version=number,
        task=task,
        run_id="",
        source="",
        mapping=(0, 1),
        tags={DATASET_TAG: "landing"},
    )
