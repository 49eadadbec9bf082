"""Versions of former days: loaded by this code, they answer as they did, or as those of today where their day answered wrongly.

The folder `former` holds what MLflow wrote for three models registered by commit 8f56a4d, before the rooms moved: a text and an
image model and a supervised one, with encoders of a few kinds of weights, so that their files pack small. `predictions.json` is
what that commit predicted for `rows.json`.
"""

import base64
import json
import lzma
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.serving.conftest import Registered

pytestmark = pytest.mark.filterwarnings("ignore:.*An input example was not provided")  # the first release gave none

FORMER = Path(__file__).with_name("former")

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


def unpack_former(name: str, folder: Path) -> Path:
    """A copy of a model's folder as MLflow wrote it: the weights are packed in the repository."""
    copied = shutil.copytree(FORMER / name, folder / name)
    (packed,) = copied.rglob("*.xz")
    packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
    packed.unlink()
    return copied


@pytest.mark.parametrize("name", ["text", "image", "supervised"])
def test_those_registered_before_the_rooms_moved_predict_what_they_did(name: str, tmp_path: Path) -> None:
    import mlflow
    import pandas as pd

    rows = pd.DataFrame(json.loads((FORMER / "rows.json").read_text()))
    rows["image"] = rows["image"].map(base64.b64decode)
    saved = json.loads((FORMER / "predictions.json").read_text())[name]
    found = mlflow.pyfunc.load_model(str(unpack_former(name, tmp_path))).predict(rows)
    assert found["label"].tolist() == saved["label"]
    assert found["probability"].tolist() == pytest.approx(saved["probability"], abs=1e-3)
    assert found["reason"].tolist() == [None] * len(rows)
    assert set(saved["label"]) == {0, 1}


def test_what_is_kept_of_them_is_small_and_names_no_machine() -> None:
    files = [path for path in FORMER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 100_000
    for path in files:
        data = path.read_bytes()
        content = lzma.decompress(data) if path.suffix == ".xz" else data
        assert not [place for place in (b"file:/", b"/tmp/", b"/home/", b"/root/", b"/Users/") if place in content], (
            path
        )
