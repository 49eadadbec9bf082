"""Batch scoring on many machines: Ray Data hands out shards, and each of its workers labels them as one machine alone would."""

import json
import logging
import os
import secrets
import socket
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra.catalog.database import open_catalog
from infra.catalog.tables import LabelFile, Shard
from infra.logs import configure_logging
from infra.object_store import open_store
from infra.settings import Settings
from itrp.errors import WrongUseError
from serving.errors import UnavailableError
from serving.registry import ModelPair, Registry
from serving.scorer import PATIENCE, BatchScorer, ShardsFailedError, explain_fault

if TYPE_CHECKING:
    from ray.data import Dataset

logger = logging.getLogger(__name__)

RETRIES = 3
"""How often a worker that died is started again, and a shard it had in hand is tried again. Not Ray Data's "for ever":
an image that kills whatever reads it would go round and round."""
STORE_BYTES = 100_000_000
"""Ray's shared memory in a cluster of our own; only identities and ledger rows pass through it."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Defaults of other libraries' variables, here and in every worker: none of them reports home."""


class ShardWorker:
    """A Ray actor. Opens store, catalog and registry itself, and loads the two models once, at its first shard.

    Settings come as a pickled constructor argument: passwords in them travel from process to process, but stand in no
    runtime environment (which Ray logs and its dashboard shows), no command line and no log.
    """

    def __init__(self, settings: Settings, pair: ModelPair, flow_run_id: str | None) -> None:
        _set_quiet()
        configure_logging(redact=settings.secrets)
        self.scorer = open_scorer(settings, pair)
        self.flow_run_id = flow_run_id

    def __call__(self, item: dict[str, Any]) -> dict[str, str]:
        """A shard's identity in; out its hash with either the ledger's row as JSON or what went wrong."""
        shard = Shard(**item)
        try:
            row = encode_row(self.scorer.score(shard, self.flow_run_id))
        except Exception as error:  # one shard's fault must not take the others with it
            return {"shard": shard.hash, "row": "", "fault": explain_fault(shard, error)}
        return {"shard": shard.hash, "row": row, "fault": ""}


def score_on_ray(
    settings: Settings,
    pair: ModelPair,
    shards: Sequence[Shard],
    flow_run_id: str | None = None,
    *,
    address: str | None = None,
    workers: int | None = None,
) -> Iterator[LabelFile]:
    """Label shards with one pinned pair of model versions; yields the ledger's rows as they are written, in any order.

    The label files, their keys and the ledger are those of `BatchScorer.score`, which every worker runs. A worker that dies
    is started again by Ray, and its shard scored again: what it had finished counts, so each tweet keeps one label.

    address: of a Ray cluster (`auto`, host:port, ray://host:port); None starts one on this machine and stops it afterwards.
    workers: how many score at once; by default one a GPU, or one a CPU core where there is no GPU or `device` is cpu.
    Raises WrongUseError without Ray or where other machines cannot reach what the settings name, UnavailableError when the
    cluster does not answer or loses workers again and again, and, once the others are labelled, ShardsFailedError.
    """
    if not shards:
        return
    with connect_ray(address, workers):
        _check_reach(settings, _count_machines())
        faults: dict[str, str] = {}
        for answer in _stream(_plan(settings, pair, shards, flow_run_id, workers)):
            if answer["fault"]:
                faults[answer["shard"]] = answer["fault"]
                if len(faults) == PATIENCE:
                    break
                continue
            row = decode_row(answer["row"])
            logger.info("labelled shard %s: %d pairs", answer["shard"][:12], row.pairs)
            yield row
    if faults:
        raise ShardsFailedError(faults, len(shards))


def open_scorer(settings: Settings, pair: ModelPair) -> BatchScorer:
    """A scorer of the parts the settings describe. The catalog's tables must be there."""
    store = open_store(settings.object_store_url, settings.object_store_access_key, settings.object_store_secret_key)
    return BatchScorer(
        store,
        open_catalog(settings.catalog_url, migrate=False),
        Registry(settings.mlflow_uri, settings.cache_dir / "models"),
        pair,
        cache=settings.cache_dir,
        # Ray shows a worker its own GPU alone, as the first
        device="cuda" if settings.device.startswith("cuda") else settings.device,
        precision=settings.precision,
    )


def encode_row(row: LabelFile) -> str:
    """A ledger row as JSON."""
    values = {column.key: getattr(row, column.key) for column in LabelFile.__table__.columns}
    return json.dumps({**values, "scored_at": row.scored_at.isoformat()})


def decode_row(text: str) -> LabelFile:
    """What `encode_row` wrote, as a row that belongs to no session."""
    values = json.loads(text)
    return LabelFile(**{**values, "scored_at": datetime.fromisoformat(values["scored_at"])})


def _plan(
    settings: Settings, pair: ModelPair, shards: Sequence[Shard], flow_run_id: str | None, workers: int | None
) -> "Dataset":
    """One block a shard: a block is what Ray hands to a worker, and tries again."""
    import ray

    found = ray.cluster_resources()
    gpus = 0 if settings.device == "cpu" else int(found.get("GPU", 0))
    wanted = workers or gpus or int(found.get("CPU", 1))
    items = [{"id": shard.id, "hash": shard.hash, "key": shard.key, "pairs": shard.pairs} for shard in shards]
    with warnings.catch_warnings():
        # the two last arguments are to go with Ray 2.64, which the extra `ray` therefore leaves out
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        return ray.data.from_items(items, override_num_blocks=len(items)).map(
            ShardWorker,  # type: ignore[arg-type]  # a class: Ray makes an actor of it
            fn_constructor_args=(settings, pair, flow_run_id),
            compute=ray.data.ActorPoolStrategy(size=min(wanted, len(items))),
            num_cpus=1,
            num_gpus=1 if gpus else 0,
            max_restarts=RETRIES,
            max_task_retries=RETRIES,
        )


def _stream(plan: "Dataset") -> Iterator[dict[str, str]]:
    import ray

    try:
        yield from plan.iter_rows()
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:300]
        raise UnavailableError(
            f"Ray ended the run ({type(error).__name__}: {reason}): labelled tweets keep their labels; Ray's own logs show "
            "why its workers die (memory, most often); then score again"
        ) from None


@contextmanager
def connect_ray(address: str | None = None, workers: int | None = None) -> Iterator[None]:
    """A connection to Ray for the time of a run, unless the caller has one already. Arguments and errors as `score_on_ray`."""
    _import_ray()
    import ray

    if ray.is_initialized():
        yield
        return
    if not address:
        # Ray listens on the network and asks for a token, which it would leave in a file in the home folder
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    own: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False, "object_store_memory": STORE_BYTES}
    try:
        _knock(address)
        # without "local", Ray looks for somebody else's cluster on this machine first
        ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **({} if address else own))
    except (OSError, ValueError, RuntimeError) as error:
        raise UnavailableError(
            f"expected a Ray cluster at {address or 'this machine'}, found none ({' '.join(str(error).split())[:200]}): "
            "`ray start --head` starts one; RAY_AUTH_MODE and RAY_AUTH_TOKEN must be here what they are there; without an "
            "address there is a cluster of this machine alone"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _import_ray() -> None:
    """Raises WrongUseError where Ray Data is not installed."""
    _set_quiet()
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise WrongUseError(
            f"expected Ray Data for the engine ray, found none ({error}): pip install 'itrp[ray]', or score with the engine local"
        ) from None
    for handler in logging.getLogger("ray.data").handlers:
        # Ray's own console: neither its files in the session folder, which keep telling everything, nor anybody else's handler
        if isinstance(handler, logging.StreamHandler) and type(handler).__module__.startswith("ray."):
            handler.setLevel(logging.ERROR)


def _knock(address: str | None) -> None:
    """Raise OSError where nobody listens: Ray itself goes on trying for minutes."""
    parts = urlsplit(address if address and "://" in address else f"//{address or ''}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()


def _count_machines() -> int:
    import ray

    return len({node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]})


def _check_reach(settings: Settings, machines: int) -> None:
    """Workers on other machines see neither a folder nor an SQLite file of this one."""
    addresses = {
        "ITRP_OBJECT_STORE_URL": settings.object_store_url,
        "ITRP_CATALOG_URL": settings.catalog_url,
        "ITRP_MLFLOW_URI": settings.mlflow_uri,
    }
    local = [name for name, url in addresses.items() if url.startswith(("file:", "sqlite:"))]
    if machines > 1 and local:
        raise WrongUseError(
            f"expected an object store, a catalog and a registry that all {machines} machines of the Ray cluster reach, found "
            f"a folder or file of this one in {', '.join(local)}: name servers there, or score without a Ray address"
        )


def _set_quiet() -> None:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
