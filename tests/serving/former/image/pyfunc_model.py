"""The registered model's code ("models from code"): MLflow copies this file beside the weights and runs it on loading.

It says as little as can be: what lies here is fixed for ever with each version, and what it calls goes on being mended.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from serving.predictor import Predictor


class ItrpPyfunc(PythonModel):
    """Rows of text and image -> label, probability (of class 1) and reason: `Predictor.answer`."""

    def load_context(self, context: Any) -> None:
        """Read the safetensors folder among the model's artifacts, and what whoever loads the model allows."""
        self.settings = dict(context.model_config or {})
        self.predictor = Predictor.load(Path(context.artifacts["model"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row a pair, with the input's index. Raises UnmappedModelError for a model without class names."""
        return self.predictor.answer(model_input, **self.settings)


set_model(ItrpPyfunc())
