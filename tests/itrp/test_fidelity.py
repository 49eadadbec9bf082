"""The method against its definition in other people's code: scikit-learn, torchvision, and Adam's own equations.

What is shown elsewhere is not repeated: the rounds as a whole in training/test_algorithm, single figures by hand in the
tests of each file, mapping and checkpoint in evaluation/test_protocols. Here: real encoders' vectors, many random sizes,
the state inside the optimizers, and pictures of every kind.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.cluster import KMeans
from torch import Tensor
from torchvision import transforms

from itrp.clustering.pseudo_labels import assign_clusters
from itrp.clustering.sampling import balance_indices
from itrp.config import ExperimentConfig, ImageEncoderConfig, override
from itrp.data.images import load_pixels
from itrp.data.inputs import ShardFile
from itrp.datasets.synthetic import SyntheticTweet
from itrp.experiments import small_text
from itrp.inference.embeddings import EmbeddingCache
from itrp.models.image_encoder import build_image_encoder
from itrp.models.itrp_model import build_model
from itrp.pixel_format import PixelFormat
from itrp.randomness import round_seed
from itrp.training.trainer import Trainer
from itrp.training.training_set import prepare_training_set

CPU = torch.device("cpu")


# Pseudo-labels


@pytest.fixture(scope="module")
def real_features(shards: Sequence[ShardFile], tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.float32]:
    """[60, 1664] fused vectors of the packaged MiniLM and EfficientNet-Lite0."""
    model = build_model(override(small_text(), ["image.size=64"]))
    data = prepare_training_set(model, shards, EmbeddingCache(tmp_path_factory.mktemp("vectors"), CPU))
    rows = np.arange(60)
    return model.fuse_vectors(data.embed_text(rows), data.embed_image(rows))


@pytest.mark.parametrize("n_init", [1, 10])
@pytest.mark.parametrize("seed", range(6))
def test_pseudo_labels_are_scikit_learns_to_the_last_pair(
    real_features: NDArray[np.float32], seed: int, n_init: int
) -> None:
    expected = KMeans(2, random_state=seed, n_init=n_init).fit(real_features).predict(real_features)
    found = assign_clusters(real_features, "kmeans", 2, seed, n_init=n_init)
    np.testing.assert_array_equal(found, expected)  # the clusters' numbers too, not only the partition


def test_one_start_is_what_a_call_without_n_init_means_today(real_features: NDArray[np.float32]) -> None:
    for seed in range(6):
        expected = KMeans(2, random_state=seed).fit(real_features).predict(real_features)
        np.testing.assert_array_equal(assign_clusters(real_features, "kmeans", 2, seed), expected)


# Sampling


def reference_size(sizes: Sequence[int], strategy: str) -> int:
    """Pairs drawn of each cluster: the smallest, the largest, or the mean size cut to a whole number."""
    return {"under": min(sizes), "over": max(sizes), "combination": int(np.mean(sizes))}[strategy]


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("strategy", ["under", "over", "combination"])
def test_every_cluster_is_balanced_to_the_references_size(strategy: str, k: int) -> None:
    generator = np.random.default_rng(k)
    for seed in range(60):
        sizes = generator.integers(1, 60, size=k).tolist()
        labels = generator.permutation(np.repeat(np.arange(k), sizes))
        found = np.bincount(labels[balance_indices(labels, strategy, seed)], minlength=k)  # type: ignore[arg-type]
        assert found.tolist() == [reference_size(sizes, strategy)] * k, sizes


# Optimizers


class OptimizerProbe:
    """Looks at a trainer after every step, through the progress it reports."""

    def __init__(self) -> None:
        self.trainer: Trainer | None = None
        self.before: dict[str, Tensor] = {}
        self.continued: list[float] = []
        """Rounds' first steps: largest relative error of Adam's first moment, if it goes on from the step before."""
        self.restarted: list[float] = []
        """The same, if it had begun anew."""
        self.head_moves: list[Tensor] = []
        """Rounds' first steps: how far each weight of the head went, as a multiple of its learning rate."""

    def __call__(self, stage: str, step: int, steps: int) -> None:
        assert self.trainer is not None
        if not stage.startswith("round "):  # embedding and clustering come before the steps
            return
        optimizer = self.trainer.optimizers["image"]
        name, parameter = next(iter(self.trainer.model.image.backbone.named_parameters()))
        moment = optimizer.state[parameter]["exp_avg"]
        if step == 1 and name in self.before:
            assert parameter.grad is not None
            fresh = 0.1 * parameter.grad
            self.continued.append(relative_error(moment, 0.9 * self.before[name] + fresh))
            self.restarted.append(relative_error(moment, fresh))
        if step == 1:
            self.head_moves.append(self.measure_head())
        self.before[name] = moment.clone()

    def measure_head(self) -> Tensor:
        assert self.trainer is not None
        model = self.trainer.model
        now, gradient = model.head.weight.detach().clone(), model.head.weight.grad
        assert gradient is not None
        number = len(self.head_moves) + 1
        model.reset_head(round_seed(model.config.seed, number))
        moved = (now - model.head.weight) / model.config.head_optimizer.learning_rate
        with torch.no_grad():
            model.head.weight.copy_(now)
        return moved[gradient.abs() > 1e-5].detach()  # where it is not large beside Adam's epsilon of 1e-8


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def test_the_encoders_moments_go_on_and_the_heads_begin_anew(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], tmp_path: Path
) -> None:
    """Adam's first step from nothing moves every weight by its learning rate, whatever the gradient; a later one does not."""
    config = make_config("small-image")
    probe = OptimizerProbe()
    cache = EmbeddingCache(tmp_path / "cache", CPU)
    probe.trainer = Trainer(build_model(config), shards, cache=cache, checkpoints=tmp_path / "run", progress=probe)
    assert len(list(probe.trainer.run())) == 3
    assert len(probe.continued) == 2
    assert max(probe.continued) < 1e-5
    assert min(probe.restarted) > 0.1
    assert len(probe.head_moves) == 3
    for moved in probe.head_moves:
        assert len(moved) > 100
        np.testing.assert_allclose(moved.abs(), 1, atol=2e-2)


# Pictures


def draw_photo(width: int, height: int, seed: int) -> Image.Image:
    """Smooth light, sharp edges and sensor noise: what resizing treats differently."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    light = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), dtype=np.int64).copy()
    light[height // 3 : height // 2, width // 4 : width // 2] = generator.integers(0, 256, 3)
    light[:, :: max(2, width // 40)] += 40
    noisy = light + generator.integers(-12, 13, light.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def normalise_by_torchvision(image: Image.Image, size: int) -> Tensor:
    """[3, size, size] as the paper's reference prepares a picture."""
    steps = [
        transforms.Resize((size, size)),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
    return transforms.Compose(steps)(image.convert("RGB"))


@pytest.fixture(scope="module")
def prepare() -> Iterator[Callable[[bytes], Tensor]]:
    """prepare(data): [3, 224, 224] that the first convolution of a torchvision encoder gets for a picture's bytes."""
    encoder = build_image_encoder(ImageEncoderConfig(name="shufflenet_v2_x0_5")).eval()
    seen: list[Tensor] = []
    hook = encoder.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))

    def prepare_one(data: bytes) -> Tensor:
        with torch.inference_mode():
            encoder(torch.from_numpy(load_pixels(data, PixelFormat(224)).copy()).unsqueeze(0))
        return seen.pop()[0]

    yield prepare_one
    hook.remove()


SIZES = [(224, 224), (1024, 683), (683, 1024), (1500, 500), (97, 61), (223, 225), (1, 40), (3, 2)]
KINDS = [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "P"), ("PNG", "1"), ("GIF", "P")]
NORMALISED_TOLERANCE = 1e-6
"""Largest difference of a normalised value, which lies within -2.2 and 2.7; one step of a pixel is 0.017."""


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("format_", "mode"), KINDS)
def test_the_transform_is_torchvisions(
    prepare: Callable[[bytes], Tensor], format_: str, mode: str, size: tuple[int, int]
) -> None:
    sink = io.BytesIO()
    draw_photo(*size, seed=sum(size)).convert(mode).save(sink, format_)
    expected = normalise_by_torchvision(Image.open(io.BytesIO(sink.getvalue())), 224)
    found = prepare(sink.getvalue())
    assert found.shape == (3, 224, 224)
    assert (found - expected).abs().max() <= NORMALISED_TOLERANCE


def test_the_transform_is_torchvisions_on_tweets(
    prepare: Callable[[bytes], Tensor], tweets: Sequence[SyntheticTweet]
) -> None:
    plain = [tweet.image for tweet in tweets if not Image.open(io.BytesIO(tweet.image)).has_transparency_data]
    assert len(plain) > 20
    for data in plain:
        expected = normalise_by_torchvision(Image.open(io.BytesIO(data)), 224)
        assert (prepare(data) - expected).abs().max() <= NORMALISED_TOLERANCE


def test_only_transparency_is_prepared_otherwise_on_purpose(prepare: Callable[[bytes], Tensor]) -> None:
    """The reference shows the colours under a transparent area; a reader of the tweet sees the page's white."""
    image = draw_photo(400, 300, seed=1).convert("RGBA")
    opaque, hollow = io.BytesIO(), io.BytesIO()
    image.save(opaque, "PNG")
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (200, 0, 400, 300))
    image.putalpha(alpha)
    image.save(hollow, "PNG")
    expected = normalise_by_torchvision(image, 224)
    assert (prepare(opaque.getvalue()) - expected).abs().max() <= NORMALISED_TOLERANCE
    difference = (prepare(hollow.getvalue()) - expected).abs().amax(dim=0)
    assert difference[:, :110].max() <= NORMALISED_TOLERANCE
    white = normalise_by_torchvision(Image.new("RGB", (8, 8), "white"), 224)
    assert (prepare(hollow.getvalue()) - white)[:, :, 114:].abs().max() <= NORMALISED_TOLERANCE
