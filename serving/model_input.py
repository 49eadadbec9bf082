"""What callers hand a registered model, as rows of text and image: a DataFrame, columns, records, or any form MLflow serves.

The model's signature names no inputs on purpose. MLflow would enforce them before our code is reached: a null text of the
form `inputs` would become the text "None", one null image would reject the whole request, a column of NaN too, and CSV
could not be read beside images in base64. So each cell is judged here, by the checks of ingestion.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException

COLUMNS = {
    "text": "the tweet's text",
    "image": "the image: bytes, base64 text (always over HTTP), a pathlib.Path or path, or a PIL image",
}
"""What a row holds."""
FORMS = (
    "send a DataFrame with the columns text and image, or over HTTP one of dataframe_split, dataframe_records, inputs, "
    "instances or CSV with these two names, the image as base64 text"
)


def read_rows(data: Any) -> pd.DataFrame:
    """Columns text and image of objects, with the index of the input. Raises MlflowException that says which form to send."""
    if isinstance(data, pd.DataFrame):
        frame = data
    elif isinstance(data, Mapping):
        frame = _from_columns(data)
    elif isinstance(data, list) and all(isinstance(row, Mapping) for row in data):
        frame = (
            pd.DataFrame([dict(row) for row in data], dtype=object)
            if data
            else pd.DataFrame(columns=[*COLUMNS], dtype=object)
        )
    elif isinstance(data, pd.Series):  # one row of a frame
        frame = data.to_frame().T
    else:
        raise _reject(f"a {type(data).__name__}")
    if not len(frame) and not len(frame.columns):
        return pd.DataFrame(columns=[*COLUMNS], index=frame.index, dtype=object)
    for name in COLUMNS:
        if (frame.columns == name).sum() != 1:
            raise _reject(f"the columns {[str(column) for column in frame.columns][:20]}")
    # objects: as pandas' str, half of a surrogate pair could not even be held, and None would be NaN
    return pd.DataFrame({name: _unwrap(frame[name]) for name in COLUMNS}, index=frame.index, dtype=object)


def _from_columns(data: Mapping[str, Any]) -> pd.DataFrame:
    columns = {str(name): _as_list(values) for name, values in data.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise _reject(f"columns of different lengths ({', '.join(f'{name} {n}' for name, n in lengths.items())})")
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})


def _as_list(values: Any) -> list[Any]:
    """A column; a single value is a column of one row."""
    if isinstance(values, np.ndarray):
        return list(values) if values.ndim else [values.item()]
    return list(values) if isinstance(values, list | tuple | pd.Series) else [values]


def _unwrap(column: pd.Series) -> np.ndarray:
    """[n] array of objects. MLflow's server wraps each value of records in an array of no dimension."""
    cells = np.empty(len(column), dtype=object)
    for row, value in enumerate(column):
        cells[row] = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    return cells


def _reject(found: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(f"expected text and image of each row, found {found}: {FORMS}")
