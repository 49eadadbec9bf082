"""The parts a flow works with, opened from the settings: object store, catalog, registry."""

import logging
from dataclasses import dataclass

from infra.catalog.database import Catalog, open_catalog
from infra.object_store import ObjectStore, open_store
from infra.settings import Settings, load_settings
from infra.work_folder import make_work_folder
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
    make_work_folder(settings)
    return Platform(settings, open_objects(settings), open_catalog(settings.catalog_url), open_registry(settings))


def open_objects(settings: Settings) -> ObjectStore:
    """The object store the settings describe; nothing is contacted yet."""
    return open_store(settings.object_store_url, settings.object_store_access_key, settings.object_store_secret_key)


def open_registry(settings: Settings) -> Registry:
    """The registry the settings describe; nothing is contacted yet."""
    return Registry(settings.mlflow_uri, settings.cache_dir / "models")
