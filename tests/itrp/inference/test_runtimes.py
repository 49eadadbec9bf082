"""Encoders made ready to answer: which runtime, equal vectors in fp32, close ones in bf16, the encoder itself untouched."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from itrp.config import ExperimentConfig
from itrp.data.images import load_pixels
from itrp.data.inputs import ShardFile
from itrp.datasets.synthetic import SyntheticTweet
from itrp.errors import WrongUseError
from itrp.inference import runtimes as inference
from itrp.inference.embedders import prepare_image, prepare_text
from itrp.inference.embeddings import embed_pixels, embed_tokens
from itrp.inference.int8 import Calibration
from itrp.inference.runtimes import Runtime, choose_runtime, choose_runtimes, exact_runtime
from itrp.models.encoder_pair import fingerprint
from itrp.models.itrp_model import ItrpModel, build_model
from itrp.pixel_format import PixelFormat

CPU = torch.device("cpu")
EXACT, QUICK, OPENVINO = exact_runtime(CPU), Runtime(CPU, "bf16"), Runtime(CPU, "bf16", "openvino")
installed = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is an extra")


@pytest.fixture
def model(make_config: Callable[..., ExperimentConfig]) -> ItrpModel:
    return build_model(make_config("small-text"))


@pytest.fixture(scope="module")
def texts(tweets: list[SyntheticTweet]) -> list[str]:
    return [tweet.text for tweet in tweets]


@pytest.fixture(scope="module")
def pixels(tweets: list[SyntheticTweet]) -> np.ndarray:
    return np.stack([load_pixels(tweet.image, PixelFormat(64)) for tweet in tweets])


def have_capabilities(monkeypatch: pytest.MonkeyPatch, **found: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)


def test_every_runtime_has_its_own_name() -> None:
    cuda = torch.device("cuda")
    runtimes = [EXACT, QUICK, OPENVINO, Runtime(CPU, "fp32", "openvino"), exact_runtime(cuda), Runtime(cuda, "bf16")]
    names = ["cpu", "cpu-bf16", "cpu-openvino-bf16", "cpu-openvino-fp32", "cuda-fp32", "cuda-bf16"]
    assert [runtime.name for runtime in runtimes] == names
    assert EXACT.name == CPU.type  # the vectors that training caches
    assert "cuda" not in names  # evaluation's autocast there is another arithmetic


def alike(runtime: Runtime) -> float:
    """A pair takes a second, whatever computes it."""
    return 1.0


@pytest.mark.parametrize(
    ("bf16", "openvino", "seconds", "expected"),
    [
        (False, False, {}, ["cpu"]),  # nothing to choose
        (True, False, {"cpu": 0.1, "cpu-bf16": 0.05}, ["cpu-bf16", "cpu"]),
        (True, False, {"cpu": 0.1, "cpu-bf16": 0.09}, ["cpu"]),  # an Intel Xeon whose AMX is hidden
        (True, True, {"cpu": 1.0, "cpu-bf16": 0.4, "cpu-openvino-fp32": 0.9, "cpu-openvino-bf16": 0.2},
         ["cpu-openvino-bf16", "cpu-bf16", "cpu"]),
        (True, True, {"cpu": 1.0, "cpu-bf16": 0.4, "cpu-openvino-fp32": 0.39, "cpu-openvino-bf16": 0.38},
         ["cpu-bf16", "cpu"]),  # not worth another library
        (False, True, {"cpu": 1.0, "cpu-openvino-fp32": 0.5}, ["cpu-openvino-fp32", "cpu"]),
    ],
)  # fmt: skip
def test_auto_is_what_beats_everything_simpler(
    monkeypatch: pytest.MonkeyPatch, bf16: bool, openvino: bool, seconds: dict[str, float], expected: list[str]
) -> None:
    have_capabilities(monkeypatch, avx512_bf16=bf16)
    monkeypatch.setattr(inference, "find_spec", lambda name: name if openvino else None)
    found = choose_runtimes(CPU, "auto", lambda runtime: seconds[runtime.name])
    assert [runtime.name for runtime in found] == expected
    assert choose_runtime(CPU, "int8", lambda runtime: seconds[runtime.name]) == found[0]
    assert choose_runtimes(CPU, "fp32", alike) == [EXACT]
    if bf16:
        assert choose_runtimes(CPU, "bf16", alike) == [QUICK]  # whoever asks for it gets it


def test_openvino_is_the_quicker_of_its_two(monkeypatch: pytest.MonkeyPatch) -> None:
    have_capabilities(monkeypatch, amx_bf16=True)
    monkeypatch.setitem(sys.modules, "openvino", ModuleType("openvino"))
    seconds = {"cpu-openvino-fp32": 1.0, "cpu-openvino-bf16": 0.3}
    found = choose_runtimes(CPU, "openvino", lambda runtime: seconds[runtime.name])
    assert [runtime.name for runtime in found] == ["cpu-openvino-bf16", "cpu-openvino-fp32"]


def test_imitated_bf16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    have_capabilities(monkeypatch, avx512_f=True)
    with pytest.raises(
        WrongUseError, match=r"precision=bf16: expected a cpu that multiplies in bf16 .*: use auto or fp32"
    ):
        choose_runtimes(CPU, "bf16", alike)


def test_openvino_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(WrongUseError, match=r"precision=openvino: expected OpenVINO, found none .*'itrp\[openvino\]'"):
        choose_runtimes(CPU, "openvino", alike)


def test_openvino_is_for_cpus() -> None:
    with pytest.raises(WrongUseError, match="precision=openvino: expected the device cpu, found cuda"):
        choose_runtimes(torch.device("cuda"), "openvino", alike)


def test_int8_is_for_cpus_with_both_packages_and_pairs_to_make_it_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(WrongUseError, match="precision=int8: expected the device cpu, found cuda"):
        choose_runtimes(torch.device("cuda"), "int8", alike)
    monkeypatch.setitem(sys.modules, "openvino", ModuleType("openvino"))
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(
        WrongUseError, match=r"precision=int8: expected OpenVINO and NNCF, found not both .*nncf.*: pip"
    ):
        choose_runtimes(CPU, "int8", alike)
    monkeypatch.setitem(sys.modules, "nncf", ModuleType("nncf"))
    pairs = ShardFile("0123456789abcdef", tmp_path / "pairs.parquet", 2)
    found, *next_best = choose_runtimes(CPU, "int8", alike, lambda: Calibration(pairs, pairs, tmp_path))
    assert found.name == "cpu-openvino-int8-01234567"
    assert next_best == choose_runtimes(CPU, "auto", alike)
    for no_pairs in (None, lambda: None):
        assert choose_runtimes(CPU, "int8", alike, no_pairs) == next_best


def test_exact_vectors_are_those_of_training(model: ItrpModel, texts: list[str], pixels: np.ndarray) -> None:
    rows = model.text.tokenize(texts)
    text = prepare_text(model.text, EXACT)
    np.testing.assert_array_equal(text.embed(rows[:16]), embed_tokens(model.text, rows[:16], CPU, 16))
    assert [row.tolist() for row in text.tokenize(texts)] == [row.tolist() for row in rows]
    image = prepare_image(model.image, EXACT)
    np.testing.assert_array_equal(image.embed(pixels[:16]), embed_pixels(model.image, pixels[:16], CPU, 16))
    assert image.pixels == PixelFormat(64)


@pytest.mark.parametrize("runtime", [QUICK, pytest.param(OPENVINO, marks=installed)])
def test_quick_vectors_are_close(model: ItrpModel, texts: list[str], pixels: np.ndarray, runtime: Runtime) -> None:
    names = fingerprint(model.text), fingerprint(model.image)
    rows = model.text.tokenize(texts)[:16]
    text, image = prepare_text(model.text, runtime), prepare_image(model.image, runtime)
    assert (text.fingerprint, image.fingerprint) == names
    for found, expected in (
        (text.embed(rows), embed_tokens(model.text, rows, CPU, 16)),
        (image.embed(pixels[:16]), embed_pixels(model.image, pixels[:16], CPU, 16)),
    ):
        assert found.dtype == np.float32
        difference = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        assert 0 < difference < 0.02
    # what was given is what it was: fp32, with the same weights
    assert (fingerprint(model.text), fingerprint(model.image)) == names
    assert model.image.dtype == torch.float32


@installed
def test_openvino_in_fp32_differs_by_rounding(model: ItrpModel, texts: list[str], pixels: np.ndarray) -> None:
    runtime, rows = Runtime(CPU, "fp32", "openvino"), model.text.tokenize(texts)
    text = prepare_text(model.text, runtime)
    for part in (rows[:16], rows[16:21]):  # batches and lengths are free
        np.testing.assert_allclose(text.embed(part), embed_tokens(model.text, part, CPU, 16), atol=1e-5)
    found = prepare_image(model.image, runtime).embed(pixels[:5])
    expected = embed_pixels(model.image, pixels[:5], CPU, 16)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())
