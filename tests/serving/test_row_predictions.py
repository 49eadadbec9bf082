"""What `mlflow.pyfunc.load_model(...).predict` answers: each row in its place, and a reason where a row cannot be used."""

import base64
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.serving.conftest import Registered


@pytest.fixture(scope="module")
def model(registered: Registered) -> Any:
    import mlflow

    registered.registry.client  # noqa: B018  # points MLflow's module functions at this registry
    return mlflow.pyfunc.load_model(registered.uri)


@pytest.fixture(scope="module")
def expected(registered: Registered, model: Any) -> pd.DataFrame:
    """The answers to the eight rows, found without MLflow."""
    from serving.predictor import Predictor

    rows = registered.rows
    found = Predictor.load(registered.folder, "cpu").predict(rows["text"].tolist(), rows["image"].tolist())
    return pd.DataFrame({"label": found.argmax(axis=1), "probability": found[:, 1]})


def ask(model: Any, rows: Any, **columns: Any) -> pd.DataFrame:
    return model.predict(rows.assign(**columns) if columns else rows)


def test_probability_is_that_of_class_1_whatever_the_label(
    model: Any, registered: Registered, expected: pd.DataFrame
) -> None:
    answers = ask(model, registered.rows)
    assert list(answers.columns) == ["label", "probability", "reason"]
    assert [str(kind) for kind in answers.dtypes] == ["int64", "float64", "object"]
    assert answers["label"].tolist() == expected["label"].tolist()
    assert answers["probability"].tolist() == pytest.approx(expected["probability"].tolist(), abs=1e-6)
    assert sorted(answers["label"]) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert (answers["probability"] > 0.5).tolist() == (answers["label"] == 1).tolist()
    assert answers["reason"].tolist() == [None] * 8


@pytest.mark.parametrize(
    "index",
    [
        pytest.param([5, 2, 7, 0, 1, 3, 6, 4], id="shuffled"),
        pytest.param(list("abcdefgh"), id="letters"),
        pytest.param([1, 1, 2, 2, 3, 3, 4, 4], id="twice"),
        pytest.param(pd.MultiIndex.from_product([["x", "y"], range(4)]), id="levels"),
        pytest.param(pd.date_range("2026-11-01", periods=8, name="day"), id="days"),
    ],
)
def test_answers_keep_the_index(model: Any, registered: Registered, expected: pd.DataFrame, index: Any) -> None:
    rows = registered.rows.set_axis(index, axis=0)
    answers = ask(model, rows)
    pd.testing.assert_index_equal(answers.index, rows.index)
    assert answers["label"].tolist() == expected["label"].tolist()


def test_a_column_made_of_the_answers_stands_beside_its_rows(
    model: Any, registered: Registered, expected: pd.DataFrame
) -> None:
    part = registered.rows.iloc[[5, 2, 7]].copy()
    part["label"] = ask(model, part)["label"]
    assert part["label"].tolist() == expected["label"].iloc[[5, 2, 7]].tolist()
    shuffled = registered.rows.sample(frac=1, random_state=3)
    shuffled["label"] = ask(model, shuffled)["label"]
    assert shuffled["label"].sort_index().tolist() == expected["label"].tolist()


def test_no_rows_give_no_answers(model: Any, registered: Registered) -> None:
    for rows in (
        registered.rows.iloc[:0],
        pd.DataFrame({"text": [], "image": []}),
        pd.DataFrame(),
        [],
        {"text": [], "image": []},
    ):
        answers = model.predict(rows)
        assert list(answers.columns) == ["label", "probability", "reason"]
        assert len(answers) == 0


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_bad_row_is_named_and_the_others_get_their_labels(
    model: Any, registered: Registered, expected: pd.DataFrame, tmp_path: Path
) -> None:
    rows = registered.rows.copy()
    image = rows["image"].tolist()
    rows["text"] = rows["text"].astype(object)
    rows.index = pd.Index([10, 11, 12, 13, 14, 15, 16, 17])
    rows.at[11, "text"] = None
    rows.at[13, "image"] = b"<html>not found</html>"
    rows.at[14, "image"] = image[4][: len(image[4]) // 2]
    rows.at[16, "text"] = "  "
    answers = ask(model, rows)
    rejected = [11, 13, 14, 16]
    assert answers.index.tolist() == rows.index.tolist()
    assert (
        answers["label"].isna().tolist() == answers["probability"].isna().tolist() == rows.index.isin(rejected).tolist()
    )
    assert str(answers["label"].dtype) == "Int64"
    good = answers[answers["reason"].isna()]
    assert good["label"].tolist() == expected["label"].iloc[[0, 2, 5, 7]].tolist()
    assert good["probability"].tolist() == pytest.approx(expected["probability"].iloc[[0, 2, 5, 7]].tolist(), abs=1e-5)
    reasons = answers.loc[rejected, "reason"].tolist()
    assert reasons[0] == "text_missing: expected a text, found none"
    assert reasons[1].startswith("image_not_a_picture: ")
    assert reasons[2].startswith("image_truncated: ")
    assert reasons[3] == "text_empty: expected a text, found 2 characters of white space"


@pytest.mark.parametrize("nothing", [None, float("nan"), pd.NA, pd.NaT, np.float64("nan")])
@pytest.mark.parametrize("column", ["text", "image"])
def test_nothing_is_nothing_however_it_is_written(
    model: Any, registered: Registered, nothing: Any, column: str
) -> None:
    """In a column of its own as well, whose type is then float or object."""
    rows = registered.rows.iloc[:2].astype(object)
    rows[column] = pd.Series([nothing, nothing], index=rows.index)
    answers = ask(model, rows)
    assert answers["label"].isna().all()
    assert all(reason.endswith("found none") for reason in answers["reason"])
    assert all(reason.startswith(f"{column}_missing: ") for reason in answers["reason"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (7, "text_missing: expected a text, found a int"),
        ("half\0", "text_with_nul: expected a text without NUL, found one at character 5"),
        ("x" * 25_001, "text_too_long: expected at most 25,000 characters, found 25,001"),
        ("\ud83d alone", "text_not_utf8: expected UTF-8, found half of a surrogate pair in the text"),
        (b"bytes", "text_not_utf8: expected UTF-8, found bytes that are not: save the file as UTF-8"),
    ],
)
def test_texts_are_judged_as_at_the_ingestion(model: Any, registered: Registered, text: Any, reason: str) -> None:
    rows = registered.rows.iloc[:2].astype(object)
    rows.iat[1, 0] = text
    answers = ask(model, rows)
    assert answers["reason"].tolist() == [None, reason]
    assert answers["label"].isna().tolist() == [False, True]


def test_a_picture_comes_in_any_of_its_forms(
    model: Any, registered: Registered, expected: pd.DataFrame, tmp_path: Path
) -> None:
    """All give the answer of the bytes."""
    images = registered.rows["image"].tolist()
    paths = []
    for number, data in enumerate(images):
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(data)
    forms = {
        "bytes": images,
        "bytearray": [bytearray(data) for data in images],
        "memoryview": [memoryview(data) for data in images],
        "base64": [encode(data) for data in images],
        "base64 in lines": [base64.encodebytes(data).decode() for data in images],
        "data URL": [f"data:image/jpeg;base64,{encode(data)}" for data in images],
        "path": paths,
        "path as text": [str(path) for path in paths],
        "PIL": [Image.open(io.BytesIO(data)) for data in images],
    }
    for form, values in forms.items():
        answers = ask(model, registered.rows, image=pd.Series(values, dtype=object))
        assert answers["reason"].tolist() == [None] * 8, form
        assert answers["probability"].tolist() == pytest.approx(expected["probability"].tolist(), abs=1e-5), form


def test_columns_and_records_are_rows_too(model: Any, registered: Registered, expected: pd.DataFrame) -> None:
    rows = registered.rows
    texts, images = rows["text"].tolist(), [encode(data) for data in rows["image"]]
    columns = {"text": texts, "image": images}
    forms: list[Any] = [
        columns,
        {name: np.array(values) for name, values in columns.items()},
        [{"image": image, "text": text} for text, image in zip(texts, images, strict=True)],
        rows.assign(likes=3)[["likes", "image", "text"]],
    ]
    for form in forms:
        assert model.predict(form)["label"].tolist() == expected["label"].tolist()
    for one in ({"text": texts[0], "image": images[0]}, rows.iloc[0]):
        assert model.predict(one)["label"].tolist() == [expected["label"][0]]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (pd.DataFrame({"text": ["a"], "picture": [b""]}), r"the columns \['text', 'picture'\]"),
        ({"text": ["a", "b"], "image": ["x"]}, r"columns of different lengths \(text 2, image 1\)"),
        (["a", "b"], "a list"),
        ("a", "a str"),
    ],
)
def test_what_is_no_table_of_text_and_image_is_told(model: Any, data: Any, found: str) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(
        MlflowException, match=f"expected text and image of each row, found {found}: send a DataFrame with"
    ):
        model.predict(data)


def test_whoever_loads_the_model_may_forbid_paths_in_text(registered: Registered, tmp_path: Path) -> None:
    """For a server of one's own: what comes from outside is then never opened."""
    import mlflow

    registered.registry.client  # noqa: B018  # points MLflow's module functions at this registry
    careful = mlflow.pyfunc.load_model(registered.uri, model_config={"string_paths": False})
    file = tmp_path / "0.jpg"
    file.write_bytes(registered.rows["image"][0])
    rows = registered.rows.iloc[:2].assign(image=pd.Series([str(file), file], dtype=object))
    answers = ask(careful, rows)
    assert answers["label"].isna().tolist() == [True, False]
    assert "a path is not read here" in answers["reason"][0]


@pytest.mark.parametrize("sign", ["MLflow's server", "MLServer"])
def test_in_a_server_paths_are_never_read_and_empty_is_null(
    model: Any, registered: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    if sign == "MLServer":
        monkeypatch.setitem(sys.modules, "mlserver", ModuleType("mlserver"))
    else:
        monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    file = tmp_path / "0.jpg"
    file.write_bytes(registered.rows["image"][0])
    rows = registered.rows.iloc[:2].astype(object)
    rows.iat[0, 1] = str(file)
    first, second = ask(model, rows).to_dict(orient="records")
    assert (first["label"], first["probability"]) == (None, None)
    assert "a path is not read here" in first["reason"]
    assert (second["label"] in (0, 1), second["reason"]) == (True, None)
