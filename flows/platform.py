"""The parts a flow works with, opened from the settings: object store, catalog, registry."""

import logging
from dataclasses import dataclass

from infra.catalog import Catalog, open_catalog
from infra.object_store import ObjectStore, open_store
from infra.settings import Settings, load_settings
from serving.registry import Registry

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Platform:
    """Everything that is not the method. Opening it is cheap: MLflow and torch are imported when they are used."""

    settings: Settings
    store: ObjectStore
    catalog: Catalog
    registry: Registry


def open_platform(settings: Settings | None = None) -> Platform:
    """The platform the settings describe; brings the catalog's tables up to date. Raises InfraError."""
    settings = settings or load_settings()
    settings.work_dir.mkdir(parents=True, exist_ok=True)
    return Platform(
        settings=settings,
        store=open_store(settings.object_store_url, settings.object_store_access_key, settings.object_store_secret_key),
        catalog=open_catalog(settings.catalog_url),
        registry=Registry(settings.mlflow_uri, settings.cache_dir / "models"),
    )
