"""What several rooms' tests stand on: a clean environment, a Prefect server, one small trained platform, cheap copies of it."""

import atexit
import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# Before anything imports Prefect or MLflow, which read their settings once: none of the user's, nothing in their home.
for _name in [name for name in os.environ if name.startswith(("ITRP_", "PREFECT_", "MLFLOW_"))]:
    del os.environ[_name]
_HOME = Path(tempfile.mkdtemp(prefix="itrp-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["PREFECT_HOME"] = str(_HOME / "prefect")

from flows.runtime.orchestration import prepare_environment  # noqa: E402
from infra.logs import CHATTY, ROOMS  # noqa: E402
from infra.moved_folder import ARTIFACTS  # noqa: E402
from infra.settings import Settings  # noqa: E402

prepare_environment(Settings(work_dir=_HOME))

if TYPE_CHECKING:  # torch and MLflow take seconds to import, and most of the rooms' tests need neither
    from flows.jobs.evaluation import EvaluateReport
    from flows.jobs.training import TrainReport
    from flows.platform import Platform

UNLABELLED, LABELLED, NEW = 60, 80, 30
"""Pairs drawn: to train on, with labels (64 train, 16 test), and in the landing zone (three shards of 10)."""
QUICKLY = ["subset_size=30", "image.size=64", "batch_size=16"]
"""Two rounds of 30 pairs."""
SERVERS = {
    *("prefect_server", "desk"),
    # tests/infra
    *("s3_server", "juicefs_server", "any_server", "mortal_server", "gateway", "postgres_url", "database", "mlflow"),
    *("prefect", "queue"),
    # tests/serving, tests/flows: `mlflow models serve`, Ray, torchrun, the console script
    *("server", "cluster", "train_together", "spawn"),
}
"""Fixtures that start servers or programs: whoever asks for one is an end-to-end test (`make test-e2e`)."""
STACK = "tests/stack/"
LONGEST = [
    f"{STACK}test_stack.py",
    f"{STACK}test_stack_schedules.py",  # before the archive grows, all of which a moved alias labels again
    STACK,
    "tests/serving/test_ray_scorer.py",
    "tests/flows/test_demo.py",
    "tests/infra/docker/test_mlflow_server.py",
    "tests/flows/test_scoring_kills.py",
    "tests/test_readme.py",
    "tests/itrp/training/test_distributed.py",
    "tests/flows/test_reproduction.py",
    "tests/itrp/training/test_training_set.py",
    "tests/flows/test_distributed.py",
    "tests/flows/test_night_shift.py",
    "tests/flows/deployment/test_prefect_plugin.py",
]
"""Files that take minutes, in their order: no process of pytest is left alone with one at the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; what asks for a server or a program is e2e. What starts one by itself is marked by hand."""

    def place(item: pytest.Item) -> int:
        return min([LONGEST.index(each) for each in LONGEST if item.nodeid.startswith(each)], default=len(LONGEST))

    items.sort(key=place)
    for item in items:
        if SERVERS & {*getattr(item, "fixturenames", ())}:
            item.add_marker("e2e")


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> None:
    """`make test` starts no server: a test that asks for one while it runs (getfixturevalue) is marked by hand, or fails."""
    if fixturedef.argname in SERVERS and request._pyfuncitem.get_closest_marker("e2e") is None:
        pytest.fail(f"{request._pyfuncitem.nodeid} starts {fixturedef.argname}: mark it with @pytest.mark.e2e", False)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Whole files to a process, and all of tests/stack to one: a stack is ten servers, and two of them are slow together."""
    from xdist.scheduler import LoadFileScheduling

    class OneStack(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return STACK if nodeid.startswith(STACK) else super()._split_scope(nodeid)

    return OneStack(config, log)


@pytest.fixture
def log_as_before() -> Iterator[None]:
    """For tests that configure logging, as every command does in the process it runs in: afterwards it is as it was."""
    loggers = [logging.getLogger(name) for name in ("", *ROOMS, *CHATTY)]
    before = [([*logger.handlers], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """The address of a Prefect server with an empty database; flows called in this process use it."""
    from prefect.settings import get_current_settings
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield str(get_current_settings().api.url)


@dataclass(frozen=True)
class Built:
    """The session's platform and what it took to build it."""

    platform: "Platform"
    drawn: Path
    trained: "dict[str, TrainReport]"
    """By task."""
    evaluated: "dict[str, EvaluateReport]"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Both task models trained and given class names: versions 1 (unmapped) and 2 (mapped, challenger), no champion."""
    from flows.jobs.evaluation import run_evaluation
    from flows.jobs.training import run_training
    from flows.platform import open_platform
    from itrp.datasets.synthetic import write_itr_layout, write_landing_layout, write_twitter100k_layout

    folder = tmp_path_factory.mktemp("trained")
    drawn = folder / "tweets"
    write_twitter100k_layout(drawn / "unlabelled", UNLABELLED, 1)
    write_itr_layout(drawn / "labelled", LABELLED, 2)
    write_landing_layout(drawn / "new", NEW, 3, batch_size=10)
    platform = open_platform(Settings(work_dir=folder / "work", device="cpu"))
    _ingest(platform, drawn)
    trained, evaluated = {}, {}
    for task in ("text", "image"):
        trained[task] = run_training(platform, f"small-{task}", "unlabelled", QUICKLY, flow_run_id=f"train-{task}")
    for task in ("text", "image"):
        evaluated[task] = run_evaluation(platform, [f"itrp-{task}-task@challenger"], "labelled")
    yield Built(platform, drawn, trained, evaluated)
    shutil.rmtree(folder)  # models and checkpoints: hundreds of megabytes that pytest would keep for three sessions


def _ingest(platform: "Platform", drawn: Path) -> None:
    from flows.jobs.ingestion import ingest_folder, ingest_landing
    from itrp.datasets.itr import ItrFolder
    from itrp.datasets.twitter100k import Twitter100kFolder

    unlabelled, labelled = Twitter100kFolder(drawn / "unlabelled"), drawn / "labelled"
    ingest_folder(platform.store, platform.catalog, "unlabelled", unlabelled)
    source = ItrFolder(labelled / "labels.csv", labelled, labelled / "controversial_samples.txt", None)
    ingest_folder(platform.store, platform.catalog, "labelled", source)
    drop_in_landing(platform, drawn / "new")
    ingest_landing(platform.store, platform.catalog, flow_run_id="ingest-new", shard_size=10)


def drop_in_landing(platform: "Platform", folder: Path) -> None:
    """What a collector does: pictures first, the batch files last."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".csv"]
    for path in sorted(files, key=lambda path: path.suffix == ".jsonl"):
        platform.store.put(f"landing/{path.relative_to(folder).as_posix()}", path)


@pytest.fixture(scope="session")
def drop() -> "Callable[[Platform, Path], None]":
    """`drop(platform, folder)`: put a folder in landing layout into the object store."""
    return drop_in_landing


@pytest.fixture(scope="session")
def trained(built: Built) -> "Platform":
    """The session's platform. Only to be read: whoever changes anything takes `platform`."""
    return built.platform


@pytest.fixture(scope="session")
def fork(trained: "Platform") -> "Callable[[Path], Platform]":
    """`fork(folder)`: a platform in a new folder that begins as the trained one and may be changed at will.

    Objects and caches, which are never written to in place, are hard links, and so are models' weights; databases and
    other artifacts are copies. Opening the platform makes MLflow's places those of the new folder.
    """
    registry = trained.registry
    versions = [registry.resolve(f"itrp-{task}-task/{number}") for task in ("text", "image") for number in (1, 2)]
    fetched = [(version, registry.fetch(version)) for version in versions]
    _try_runtimes(trained)

    def copy(folder: Path) -> "Platform":
        from flows.platform import open_platform

        source = trained.settings.work_dir
        for name in ("objects", "cache/embeddings", "cache/predictions", "cache/costs"):
            shutil.copytree(source / name, folder / name, copy_function=os.link)
        if (source / "cache/checks").exists():
            shutil.copytree(source / "cache/checks", folder / "cache/checks")
        for name in ("catalog.db", "mlflow.db"):
            with sqlite3.connect(source / name) as old, sqlite3.connect(folder / name) as new:
                old.backup(new)
        shutil.copytree(source / ARTIFACTS, folder / ARTIFACTS, copy_function=_link_weights)
        platform = open_platform(Settings(work_dir=folder, device="cpu"))
        for version, files in fetched:  # as if this registry had fetched them
            shutil.copytree(files, platform.registry.folder_of(version), copy_function=os.link)
        return platform

    return copy


def _try_runtimes(platform: "Platform") -> None:
    """Whether this machine's quicker arithmetic keeps both models' labels, which takes seconds: once, not in every copy."""
    from serving.registry import ModelPair
    from serving.scorer import BatchScorer

    pair = ModelPair(*(platform.registry.resolve(f"itrp-{task}-task/2") for task in ("text", "image")))
    cache = platform.settings.cache_dir
    BatchScorer(platform.store, platform.catalog, platform.registry, pair, cache=cache, device="cpu")._labeller  # noqa: B018


def _link_weights(source: str, target: str) -> None:
    """MLflow writes over other artifacts in place, which a hard link would pass on."""
    (os.link if source.endswith(".safetensors") else shutil.copy2)(source, target)


@pytest.fixture
def platform(fork: "Callable[[Path], Platform]", tmp_path: Path) -> "Platform":
    """A copy of the trained platform for one test."""
    return fork(tmp_path / "work")


def promote_by_hand(platform: "Platform", version: str = "2") -> None:
    """Make one version of each task the champion."""
    for task in ("text", "image"):
        platform.registry.set_alias(platform.registry.resolve(f"itrp-{task}-task/{version}"), "champion")


@pytest.fixture
def scoring(platform: "Platform") -> "Platform":
    """A copy of the trained platform with version 2 of both tasks as champions."""
    promote_by_hand(platform)
    return platform
