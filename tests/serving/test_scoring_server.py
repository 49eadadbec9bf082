"""`mlflow models serve` with a registered model: every form that MLflow's scoring server reads, over HTTP."""

import base64
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pandas as pd
import pytest

from infra.docker.answers import answers
from infra.stack.service import Service
from tests.ports import free_ports
from tests.serving.conftest import Registered


@dataclass(frozen=True)
class ScoringServer:
    """A running server."""

    address: str

    def post(self, body: Any, content_type: str = "application/json") -> tuple[int, Any]:
        """Status and answer; the JSON is read as strictly as a browser reads it: NaN is an error."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urlopen(
                Request(f"{self.address}/invocations", data, {"Content-Type": content_type}), timeout=120
            ) as told:
                return told.status, json.loads(told.read(), parse_constant=_refuse_constant)
        except HTTPError as error:
            return error.code, error.read().decode()

    def predict(self, body: Any, content_type: str = "application/json") -> list[dict[str, Any]]:
        status, told = self.post(body, content_type)
        assert status == 200, told
        found: list[dict[str, Any]] = told["predictions"]
        return found


def _refuse_constant(name: str) -> None:
    raise AssertionError(f"expected JSON, found {name}")


@pytest.fixture(scope="module")
def server(registered: Registered, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScoringServer]:
    folder = tmp_path_factory.mktemp("served")
    port = free_ports(1)[0]
    command = [
        Path(sys.executable).parent / "mlflow", "models", "serve", "--model-uri", registered.uri, "--env-manager", "local",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    environment = {
        **os.environ,
        **dict.fromkeys(("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"), registered.registry.uri),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    address = f"http://127.0.0.1:{port}"
    service = Service("serve", command, folder / "serve.log", lambda: answers(f"{address}/ping"), environment)
    service.start()
    try:
        yield ScoringServer(address)
    finally:
        service.stop()


@pytest.fixture(scope="module")
def sent(registered: Registered) -> pd.DataFrame:
    """The rows as they go over HTTP."""
    return registered.rows.assign(image=[base64.b64encode(data).decode() for data in registered.rows["image"]])


@pytest.fixture(scope="module")
def expected(registered: Registered) -> list[dict[str, Any]]:
    from serving.predictor import Predictor

    rows = registered.rows
    found = Predictor.load(registered.folder, "cpu").predict(rows["text"].tolist(), rows["image"].tolist())
    return [
        {"label": int(row.argmax()), "probability": pytest.approx(row[1], abs=1e-5), "reason": None} for row in found
    ]


def test_every_form_gets_the_answers(server: ScoringServer, sent: pd.DataFrame, expected: list[dict[str, Any]]) -> None:
    columns, records = sent.to_dict(orient="list"), sent.to_dict(orient="records")
    forms = {
        "dataframe_split": {"dataframe_split": sent.to_dict(orient="split")},
        "dataframe_records": {"dataframe_records": records},
        "inputs, columns": {"inputs": columns},
        "inputs, records": {"inputs": records},
        "instances, records": {"instances": records},
        "instances, columns": {"instances": columns},
    }
    for form, body in forms.items():
        assert server.predict(body) == expected, form
    assert server.predict(sent.to_csv(index=False).encode(), "text/csv") == expected
    assert server.predict({"inputs": {"text": sent["text"][3], "image": sent["image"][3]}}) == [expected[3]]


def test_parquet_gets_them_with_its_own_bytes(
    server: ScoringServer, registered: Registered, expected: list[dict[str, Any]]
) -> None:
    file = io.BytesIO()
    registered.rows.to_parquet(file)
    assert server.predict(file.getvalue(), "application/vnd.apache.parquet") == expected


def test_no_rows_get_no_answers(server: ScoringServer) -> None:
    nothing: list[Any] = [
        {"dataframe_split": {"columns": ["text", "image"], "data": []}},
        {"dataframe_records": []},
        {"inputs": {"text": [], "image": []}},
        {"inputs": []},
        {"instances": []},
    ]
    for body in nothing:
        assert server.post(body) == (200, {"predictions": []}), body
    assert server.post(b"text,image\n", "text/csv") == (200, {"predictions": []})


def test_a_bad_row_is_told_and_the_others_are_answered(
    server: ScoringServer, sent: pd.DataFrame, expected: list[dict[str, Any]]
) -> None:
    texts, images = sent["text"].tolist()[:4], sent["image"].tolist()[:4]
    texts[1], images[2] = None, None
    columns = {"text": texts, "image": images}
    records = [{"text": text, "image": image} for text, image in zip(texts, images, strict=True)]
    empty = {"label": None, "probability": None}
    wanted = [
        expected[0],
        {**empty, "reason": "text_missing: expected a text, found none"},
        {
            **empty,
            "reason": "image_missing: expected an image as bytes, base64 text, a path or a PIL image, found none",
        },
        expected[3],
    ]
    rows = [[text, image] for text, image in zip(texts, images, strict=True)]
    for body in (
        {"dataframe_split": {"columns": ["text", "image"], "data": rows}},
        {"dataframe_records": records},
        {"inputs": columns},
        {"inputs": records},
        {"instances": records},
        {"instances": columns},
    ):
        assert server.predict(body) == wanted, list(body)
    assert server.predict(pd.DataFrame(columns).to_csv(index=False).encode(), "text/csv") == wanted


@pytest.mark.parametrize("allowed", [{}, {"params": {"string_paths": True}}])
def test_a_path_from_outside_is_never_opened(
    server: ScoringServer, registered: Registered, tmp_path: Path, allowed: dict[str, Any]
) -> None:
    """Not even that of a picture, and whether there is a file is not told either."""
    there, gone = tmp_path / "there.jpg", tmp_path / "gone.jpg"
    there.write_bytes(registered.rows["image"][0])
    found = server.predict(
        {"inputs": {"text": ["a", "b", "c"], "image": [str(there), str(gone), "/etc/passwd"]}, **allowed}
    )
    for row, path in zip(found, (there, gone, "/etc/passwd"), strict=True):
        assert (row["label"], row["probability"]) == (None, None)
        assert row["reason"] == (
            f"image_not_a_picture: expected the image's bytes as base64 text, found '{path}': a path is not read here, "
            "because the text can come from another machine; send what the file holds"
        )


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"dataframe_records": [{"text": "a", "picture": "b"}]}, "the columns ['text', 'picture']"),
        ({"inputs": ["a", "b"]}, "a ndarray"),
        ({"inputs": {"text": ["a", "b"], "image": ["c"]}}, "columns of different lengths (text 2, image 1)"),
    ],
)
def test_another_form_is_answered_with_the_right_ones(server: ScoringServer, body: Any, found: str) -> None:
    status, told = server.post(body)
    assert status == 400
    assert (
        f"expected text and image of each row, found {found}: send a DataFrame with the columns text and image" in told
    )
    assert "dataframe_split, dataframe_records, inputs, instances or CSV" in told
    assert "Traceback" not in told


def test_a_model_without_class_names_says_the_next_step(registered: Registered, sent: pd.DataFrame) -> None:
    """In the server's own answer, without a stack trace."""
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc.scoring_server import invocations

    from itrp.errors import UnmappedModelError
    from serving.predictor import Predictor

    predictor = Predictor.load(registered.folder, "cpu")
    unmapped = Predictor(predictor.model, None, predictor.device)

    class Model:
        metadata = None

        def predict(self, data: Any) -> pd.DataFrame:
            return unmapped.answer(data)

    body = json.dumps({"dataframe_split": sent.to_dict(orient="split")})
    with pytest.raises(
        MlflowException, match="this text model knows clusters but not yet which class each one is"
    ) as told:
        invocations(body, "application/json", Model(), None)
    assert isinstance(told.value, UnmappedModelError)
    assert told.value.get_http_status_code() == 409
    assert "stack_trace" not in json.loads(told.value.serialize_as_json())
