"""`itrp doctor`: each part, whether it answers, and the next step where it does not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import func, select

from flows.platform import Platform, open_platform
from infra.errors import InfraError
from infra.settings import Settings
from infra.tables import Dataset, LabelFile, QuarantinedTweet, Shard
from itrp.errors import ItrpError
from itrp.labels import Task
from serving.registry import CHALLENGER, CHAMPION


@dataclass(frozen=True)
class Check:
    """One part."""

    part: str
    ok: bool
    told: str


def examine(settings: Settings) -> list[Check]:
    """All parts, in the order they depend on each other. Never raises for a part that is broken."""
    checks = [Check("work folder", True, str(settings.work_dir))]
    try:
        platform = open_platform(settings)
    except (InfraError, OSError) as error:
        return [*checks, Check("platform", False, str(error))]
    parts: dict[str, Callable[[], str]] = {
        "object store": lambda: _check_store(platform),
        "catalog": lambda: _check_catalog(platform),
        "data sets": lambda: _tell_data(platform),
        "mlflow": lambda: _check_mlflow(platform),
        "models": lambda: _tell_models(platform),
        "prefect": _tell_prefect,
        "device": lambda: _tell_device(settings),
        "encoders": _tell_encoders,
    }
    return [*checks, *(_run(part, tell) for part, tell in parts.items())]


def _run(part: str, tell: Callable[[], str]) -> Check:
    try:
        return Check(part, True, tell())
    except (InfraError, ItrpError) as error:
        return Check(part, False, " ".join(str(error).split()))
    except Exception as error:  # a broken part must not hide the others
        return Check(part, False, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _check_store(platform: Platform) -> str:
    platform.store.check()
    return f"{platform.store.url} can be read and written"


def _check_catalog(platform: Platform) -> str:
    platform.catalog.check()
    with platform.catalog.session() as session:
        shards = session.scalar(select(func.count(Shard.id)))
        files = session.scalar(select(func.count(LabelFile.id)))
        open_rows = session.scalar(
            select(func.count(QuarantinedTweet.id)).where(QuarantinedTweet.resolved_at.is_(None))
        )
    return f"{platform.catalog.url}: {shards} shards, {files} label files, {open_rows} tweets in quarantine"


def _tell_data(platform: Platform) -> str:
    query = (
        select(Dataset.name, func.coalesce(func.sum(Shard.pairs), 0), Dataset.annotations_key)
        .outerjoin(Shard, Shard.dataset_id == Dataset.id)
        .group_by(Dataset.id)
        .order_by(Dataset.name)
    )
    with platform.catalog.session() as session:
        rows = session.execute(query).all()
    told = ", ".join(f"{name} ({pairs} pairs{', labelled' if key else ''})" for name, pairs, key in rows)
    return told or "none yet; next: itrp ingest landing, or itrp demo"


def _check_mlflow(platform: Platform) -> str:
    from urllib.parse import urlsplit

    platform.registry.client.search_experiments(max_results=1)
    address = urlsplit(platform.registry.uri)
    return f"{address.scheme}://{address.hostname or ''}{address.path} answers"


def _tell_models(platform: Platform) -> str:
    return "; ".join(_tell_task(platform, task) for task in (Task.TEXT, Task.IMAGE))


def _tell_task(platform: Platform, task: Task) -> str:
    champion, challenger = (platform.registry.find(task, alias) for alias in (CHAMPION, CHALLENGER))
    if champion is None and challenger is None:
        return f"{task}: none yet, next: itrp train small-{task} --data NAME"
    names = [version.version if version else "none" for version in (champion, challenger)]
    return f"{task}: champion {names[0]}, challenger {names[1]}"


def _tell_prefect() -> str:
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    return f"server {url}" if url else "in process (no PREFECT_API_URL set)"


def _tell_device(settings: Settings) -> str:
    import torch

    from itrp.embeddings import choose_device

    device = choose_device(settings.device)
    torch.zeros(1, device=device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return f"{device} ({name})"


def _tell_encoders() -> str:
    return ", ".join(_find_packages())


def _find_packages() -> Iterator[str]:
    from itrp.experiments import small_text
    from itrp.image_encoder import load_image_encoder
    from itrp.text_encoder import load_text_encoder

    config = small_text()
    yield f"minilm ({load_text_encoder(config.text).width}-d)"
    yield f"efficientnet-lite0 ({load_image_encoder(config.image).width}-d)"
