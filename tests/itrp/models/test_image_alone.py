"""fusion=image and image-root: the head reads images, and no text is read for it, neither to train nor to score."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from itrp.alignment.config import AlignedConfig
from itrp.clustering.pseudo_labels import fit_clusters
from itrp.config import ExperimentConfig, override
from itrp.data.inputs import ShardFile
from itrp.errors import WrongUseError
from itrp.experiments import find_experiment
from itrp.inference.embedders import prepare_image, prepare_text
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.label_check import predict_examples
from itrp.inference.prediction import predict_pairs, predict_shards
from itrp.inference.prepared_model import PreparedModel
from itrp.inference.runtimes import exact_runtime
from itrp.inference.shard_vectors import ShardVectors, predict_exactly
from itrp.inference.timings import PipelineTimings
from itrp.models.aligned_model import AlignedModel
from itrp.models.aligner import Aligner
from itrp.models.encoder_pair import fingerprint
from itrp.models.itrp_model import ItrpModel, build_model, load_model
from itrp.models.text_encoder import TextEncoder
from itrp.training.trainer import Trainer

CPU = torch.device("cpu")


def refuse(*arguments: object, **settings: object) -> None:
    raise AssertionError("a text was read")


@pytest.fixture
def no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextEncoder, "tokenize", refuse)
    monkeypatch.setattr(TextEncoder, "forward", refuse)


@pytest.fixture
def model(make_config: Callable[..., ExperimentConfig]) -> ItrpModel:
    return build_model(make_config("small-picture", "image.size=64"))


def test_the_embedding_is_the_images_alone(make_config: Callable[..., ExperimentConfig]) -> None:
    image = torch.tensor([[4.0, -1.0, 0.25], [0.0, 9.0, 1.0]])
    text = torch.empty(2, 0)
    for fusion, expected in (("image", image), ("image-root", torch.tensor([[2.0, 0.0, 0.5], [0.0, 3.0, 1.0]]))):
        model = build_model(make_config("small-picture", f"fusion={fusion}"))
        torch.testing.assert_close(model.fuse(text, image), expected)
        assert model.head.in_features == model.image.width
        assert not model.reads_text
    assert build_model(make_config("small-vanilla-kmeans")).reads_text


def test_no_text_is_read_to_train_nor_to_predict(
    model: ItrpModel, shards: list[ShardFile], tmp_path: Path, no_text: None
) -> None:
    cache = EmbeddingCache(tmp_path / "cache", CPU)
    trainer = Trainer(model, shards, cache=cache, checkpoints=tmp_path / "run")
    (result,) = trainer.run()
    vectors = np.concatenate(list(cache.image_vectors(model.image, shards)))
    fitted = fit_clusters(np.sqrt(vectors.clip(min=0)), "kmeans", 2, 0, 2)
    expected = fitted.predict(np.sqrt(vectors.clip(min=0)))
    assert sorted(result.cluster_sizes) == sorted(np.bincount(expected, minlength=2).tolist())
    trainer.model.save(tmp_path / "saved", (1, 0), {"round": 1})
    again, mapping = load_model(tmp_path / "saved")
    assert (mapping, again.config.fusion) == ((1, 0), "image-root")
    found = predict_shards(again, shards, cache)
    np.testing.assert_array_equal(found.argmax(axis=1), expected)
    exactly = np.concatenate(list(predict_exactly(again, shards, EmbeddingCache(tmp_path / "other", CPU))))
    np.testing.assert_allclose(exactly, found, atol=1e-4)
    np.testing.assert_allclose(predict_examples(again, exact_runtime(CPU), shards[1]), found[34:], atol=1e-4)
    kept = {path.parent.name for folder in ("cache", "other") for path in (tmp_path / folder).rglob("*.npy")}
    assert kept == {f"vectors-{fingerprint(model.image)}-cpu"}


def test_pairs_in_memory_and_what_the_text_says_changes_nothing(model: ItrpModel, no_text: None) -> None:
    from itrp.datasets.synthetic import generate_tweets

    images = [tweet.image for tweet in generate_tweets(3, seed=4)]
    first, second = (predict_pairs(model, [word] * 3, images, CPU) for word in ("one", "another"))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("experiment", "assignments", "why"),
    [
        ("small-text", ["fusion=image"], "fusion=image reads no text: text.finetune must be false"),
        (
            "small-image",
            ["fusion=image-root"],
            "the square root's gradient is infinite at 0: fusion=image-root needs image",
        ),
    ],
)
def test_what_would_teach_nothing_is_refused(experiment: str, assignments: list[str], why: str) -> None:
    with pytest.raises(WrongUseError, match=why):
        override(find_experiment(experiment), assignments)


def test_an_image_encoder_can_be_fine_tuned_for_itself(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], tmp_path: Path, no_text: None
) -> None:
    model = build_model(make_config("small-image", "fusion=image"))
    before = {name: tensor.clone() for name, tensor in model.image.state_dict().items()}
    cache = EmbeddingCache(tmp_path / "cache", CPU, 16)
    results = list(Trainer(model, shards, cache=cache, checkpoints=tmp_path / "run").run())
    assert all(np.isfinite(result.loss) for result in results)
    assert any(not torch.equal(tensor, before[name]) for name, tensor in model.image.state_dict().items())


def test_one_image_pass_serves_the_aligned_text_model_too(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], tmp_path: Path
) -> None:
    """Both tasks of a shard: one pass over the texts, which is the aligned model's, and one over the images."""
    picture = build_model(make_config("small-picture", "image.size=64"))
    config = AlignedConfig(name="aligned", text=picture.config.text, image=picture.config.image)
    aligned = AlignedModel(config, picture.text, picture.image, Aligner({}))
    runtime = exact_runtime(CPU)
    prepared = [
        PreparedModel(model, prepare_text(model.text, runtime), prepare_image(model.image, runtime))
        for model in (aligned, picture)
    ]
    vectors = ShardVectors(runtime, tmp_path, PipelineTimings())
    both, alone = vectors.plan(shards[0], prepared), vectors.plan(shards[0], prepared[1:])
    assert (len(both.texts), len(both.images)) == (1, 1)
    assert (len(alone.texts), len(alone.images)) == (0, 1)
    (done,) = vectors.run([both])
    assert set(vectors.complete(done, prepared)) == {each.fingerprint for each in (*both.texts, *both.images)}
    assert vectors.plan(shards[0], prepared).images == []  # kept
    small, other = find_experiment("small-picture"), find_experiment("small-aligned")
    assert isinstance(small, ExperimentConfig)
    assert isinstance(other, AlignedConfig)
    assert small.image == other.image
