"""The registered model's code ("models from code"): MLflow copies this file beside the weights and runs it on loading."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from serving.predictor import Predictor


class ItrpPyfunc(PythonModel):
    """text: string, image: binary -> label: long, probability: double (of that label)."""

    def load_context(self, context: Any) -> None:
        """Read the safetensors folder among the model's artifacts."""
        self.predictor = Predictor.load(Path(context.artifacts["model"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row a pair. Raises UnmappedModelError for a model whose clusters have no class names yet."""
        images = [bytes(image) for image in model_input["image"]]
        probabilities = self.predictor.predict(model_input["text"].tolist(), images)
        return pd.DataFrame({"label": probabilities.argmax(axis=1), "probability": probabilities.max(axis=1)})


set_model(ItrpPyfunc())
