"""ITRp: unsupervised image-text relation prediction for tweets (Sun, Li, Liu and Su, 2023).

The method alone. Nothing in here imports Prefect, MLflow or the object store, and nothing reads the environment:
arrays and tables in, arrays and tables out. What a notebook needs is named below; each name is imported when it is first used,
so that `import itrp` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from itrp.datasets.pair_table import PairTable, read_pairs
    from itrp.errors import ItrpError
    from itrp.experiments import EXPERIMENTS, load_experiment
    from itrp.inference.embeddings import EmbeddingCache
    from itrp.labels import Task
    from itrp.models.itrp_model import build_model
    from itrp.trained_model import TrainedModel, evaluate, load_model, name_clusters, predict, train
    from itrp.training.trainer import Trainer

__all__ = [
    "EXPERIMENTS",
    "EmbeddingCache",
    "ItrpError",
    "PairTable",
    "Task",
    "TrainedModel",
    "Trainer",
    "build_model",
    "evaluate",
    "load_experiment",
    "load_model",
    "name_clusters",
    "predict",
    "read_pairs",
    "train",
]

_MODULES = {
    "EXPERIMENTS": "itrp.experiments",
    "EmbeddingCache": "itrp.inference.embeddings",
    "ItrpError": "itrp.errors",
    "PairTable": "itrp.datasets.pair_table",
    "Task": "itrp.labels",
    "TrainedModel": "itrp.trained_model",
    "Trainer": "itrp.training.trainer",
    "build_model": "itrp.models.itrp_model",
    "evaluate": "itrp.trained_model",
    "load_experiment": "itrp.experiments",
    "load_model": "itrp.trained_model",
    "name_clusters": "itrp.trained_model",
    "predict": "itrp.trained_model",
    "read_pairs": "itrp.datasets.pair_table",
    "train": "itrp.trained_model",
}
"""Public name -> where it is defined."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'itrp' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
