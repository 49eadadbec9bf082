"""Versions whose model file is that of the first release: loaded by this code, they answer as those of today."""

from pathlib import Path
from typing import Any

import pytest

from tests.serving.conftest import Registered

pytestmark = pytest.mark.slow

FIRST_FILE = '''
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
'''


@pytest.fixture(scope="module")
def former(registered: Registered, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The model of the other tests, registered as the first release did it."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    file = tmp_path_factory.mktemp("first") / "pyfunc_model.py"
    file.write_text(FIRST_FILE)
    signature = ModelSignature(
        Schema([ColSpec("string", "text"), ColSpec("binary", "image")]),
        Schema([ColSpec("long", "label"), ColSpec("double", "probability")]),
    )
    registered.registry.client  # noqa: B018  # points MLflow's module functions at this registry
    with mlflow.start_run(run_id=registered.run_id):
        info = mlflow.pyfunc.log_model(
            name="first", python_model=str(file), artifacts={"model": str(registered.folder)}, signature=signature
        )
    return mlflow.pyfunc.load_model(info.model_uri)


def test_they_answer_in_place_and_of_class_1(former: Any, registered: Registered) -> None:
    import mlflow

    rows = registered.rows.iloc[[5, 2, 7, 0]]
    answers = former.predict(rows)
    assert answers.index.tolist() == [5, 2, 7, 0]
    today = mlflow.pyfunc.load_model(registered.uri).predict(rows)
    assert answers["label"].tolist() == today["label"].tolist()
    assert answers["probability"].tolist() == pytest.approx(today["probability"].tolist(), abs=1e-6)
    assert 0 < answers["label"].sum() < 4


def test_a_bad_row_does_not_stop_the_others(former: Any, registered: Registered, tmp_path: Path) -> None:
    rows = registered.rows.iloc[:4].astype(object)
    file = tmp_path / "0.jpg"
    file.write_bytes(rows.iat[0, 1])
    rows.iat[0, 1] = str(file)
    rows.iat[1, 0] = None
    rows.iat[2, 1] = b""
    answers = former.predict(rows)
    assert answers["label"].isna().tolist() == [False, True, True, False]
    codes = [reason and reason.partition(":")[0] for reason in answers["reason"]]
    assert codes == [None, "text_missing", "image_empty", None]
    assert len(former.predict(rows.iloc[:0])) == 0


def test_a_file_that_asks_itself_is_not_renewed(registered: Registered) -> None:
    """What other code calls load_context, or ItrpPyfunc, is none of our business unless it is both."""
    from serving.predictor import Predictor

    class Other:
        def load_context(self) -> None:
            self.predictor = Predictor.load(registered.folder, "cpu")

        def predict(self) -> str:
            return "its own"

    other = Other()
    other.load_context()
    assert other.predict() == "its own"
