"""A registered model's answer to rows of text and image: one row each, in place, also where a row cannot be used."""

import sys
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from mlflow.environment_variables import _MLFLOW_IS_IN_SERVING_ENVIRONMENT
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_CONFLICT
from numpy.typing import NDArray

from itrp.data.rejections import RejectedError
from itrp.data.texts import check_text
from itrp.errors import UnmappedModelError
from serving.image_input import is_nothing, read_image
from serving.model_input import read_rows

ROWS_AT_ONCE = 500
"""Rows whose images are read and held at a time."""


class PairPredictor(Protocol):
    """What predicts for texts and images in memory: `serving.predictor.Predictor`."""

    def require_mapping(self) -> tuple[int, ...]:
        """The mapping cluster -> class. Raises UnmappedModelError when none was chosen yet."""
        ...

    def predict(self, texts: Sequence[str], images: Sequence[bytes]) -> NDArray[np.float64]:
        """[n, 2] class probabilities for n texts and their images' bytes."""
        ...


class UnmappedPredictionError(UnmappedModelError, MlflowException):
    """A model without class names was asked; MLflow's server passes the sentence on, not a stack trace."""

    def __init__(self, message: str) -> None:
        MlflowException.__init__(self, message, error_code=RESOURCE_CONFLICT)


def predict_rows(predictor: PairPredictor, data: Any, *, string_paths: bool) -> pd.DataFrame:
    """label, probability (of class 1) and reason of each row, with the index of the input.

    A row that cannot be used has an empty label and probability, and the reason; of the others the reason is None. In MLflow's
    scoring server, which writes JSON, empty is None; in Python pandas' <NA> and NaN. string_paths: see `read_image`; never
    in a server. Raises UnmappedModelError, and MlflowException for data that is no table of text and image.
    """
    try:
        predictor.require_mapping()
    except UnmappedModelError as error:
        raise UnmappedPredictionError(str(error)) from None
    served = is_served()
    rows = read_rows(data)
    probabilities, reasons = np.full((len(rows), 2), np.nan), np.full(len(rows), None, dtype=object)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        probabilities[part], reasons[part] = _answer_part(predictor, rows[part], string_paths and not served)
    return _describe(probabilities, reasons, rows.index, served)


def is_served() -> bool:
    """Whether rows come over HTTP: in MLflow's scoring server, or in MLServer."""
    return bool(_MLFLOW_IS_IN_SERVING_ENVIRONMENT.get()) or "mlserver" in sys.modules


def _answer_part(
    predictor: PairPredictor, rows: pd.DataFrame, string_paths: bool
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """[n, 2] class probabilities, NaN where a row is rejected, and [n] reasons."""
    probabilities, reasons = np.full((len(rows), 2), np.nan), np.full(len(rows), None, dtype=object)
    usable: dict[int, tuple[str, bytes]] = {}
    for row, (text, image) in enumerate(zip(rows["text"], rows["image"], strict=True)):
        try:
            usable[row] = check_text(None if is_nothing(text) else text), read_image(image, string_paths=string_paths)
        except RejectedError as rejection:
            reasons[row] = str(rejection)
    texts, images = [text for text, _ in usable.values()], [image for _, image in usable.values()]
    probabilities[[*usable]] = predictor.predict(texts, images)
    return probabilities, reasons


def _describe(
    probabilities: NDArray[np.float64], reasons: NDArray[np.object_], index: pd.Index, served: bool
) -> pd.DataFrame:
    rejected = np.isnan(probabilities[:, 1])
    labels = pd.array(probabilities.argmax(axis=1), dtype="Int64")
    labels[rejected] = pd.NA
    # an array of objects would become pandas' str, whose None is NaN
    told = pd.Series(reasons, index=index, dtype=object)
    answers = pd.DataFrame({"label": labels, "probability": probabilities[:, 1], "reason": told}, index=index)
    if not rejected.any():
        return answers.astype({"label": np.int64})
    return answers.astype(object).where(answers.notna(), None) if served else answers
