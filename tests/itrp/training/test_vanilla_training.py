"""The algorithm `vanilla`: one clustering of the frozen features, whose scores become the head."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from itrp.clustering.pseudo_labels import fit_clusters
from itrp.config import ExperimentConfig, override
from itrp.data.inputs import ShardFile
from itrp.errors import DataError, WrongUseError
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import predict_shards
from itrp.models.itrp_model import ItrpModel, build_model, load_model
from itrp.training.trainer import Trainer

CPU = torch.device("cpu")
KINDS = {
    "k-means, relations": ["small-vanilla-kmeans"],
    "k-means, one task": ["small-vanilla-kmeans", "task=image", "k=2"],
    "GMM, relations": ["small-vanilla-gmm"],
    "GMM, one task": ["small-vanilla-gmm", "task=text", "k=2"],
}
Start = Callable[..., Trainer]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingCache:
    return EmbeddingCache(tmp_path_factory.mktemp("vectors"), CPU)


@pytest.fixture
def start(shards: Sequence[ShardFile], vectors: EmbeddingCache, tmp_path: Path) -> Start:
    """start(config): a trainer with a fresh model; its checkpoints lie in tmp_path/run."""

    def make(config: ExperimentConfig, model: ItrpModel | None = None) -> Trainer:
        return Trainer(model or build_model(config), shards, cache=vectors, checkpoints=tmp_path / "run")

    return make


@pytest.fixture
def features(
    make_config: Callable[..., ExperimentConfig], shards: Sequence[ShardFile], vectors: EmbeddingCache
) -> NDArray[np.float32]:
    """[60, 1056] what the pretrained encoders say, text and picture side by side."""
    model = build_model(make_config("small-vanilla-kmeans"))
    sides = vectors.text_vectors(model.text, shards), vectors.image_vectors(model.image, shards)
    return np.concatenate([np.concatenate(list(side)) for side in sides], axis=1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_saved_head_says_what_the_clustering_says(
    make_config: Callable[..., ExperimentConfig],
    start: Start,
    shards: list[ShardFile],
    vectors: EmbeddingCache,
    features: NDArray[np.float32],
    tmp_path: Path,
    kind: str,
) -> None:
    """Fitted on 40 of the 60 pairs, asked about all of them, after saving and loading."""
    config = make_config(*KINDS[kind], "pairs=40", "seed=5")
    trainer = start(config)
    (result,) = trainer.run()
    trainer.model.save(tmp_path / "saved", mapping=None)
    model, _ = load_model(tmp_path / "saved")
    clustering = config.clustering
    fitted = fit_clusters(features[:40], clustering.method, config.k, 5, clustering.n_init)
    expected = fitted.predict(features)
    found = predict_shards(model, shards, vectors)
    assert found.shape == (60, config.k)
    assert (found.argmax(axis=1) == expected).mean() >= 0.999
    assert np.isfinite(found).all()
    sizes = tuple(np.bincount(expected[:40], minlength=config.k).tolist())
    assert (result.round, result.rounds, result.pairs, result.agreement) == (1, 1, 40, None)
    assert (result.cluster_sizes, result.sampled_sizes) == (sizes, sizes)
    assert 0 <= result.loss < np.log(config.k)
    assert set(result.seconds) == {"embed", "cluster", "checkpoint"}


def test_vanilla_k_means_needs_one_clustering_whatever_the_subsets(
    make_config: Callable[..., ExperimentConfig], start: Start
) -> None:
    trainer = start(make_config("small-vanilla-kmeans", "subset_size=10", "epochs=3", "shuffle=true"))
    assert trainer.rounds == 1
    assert [rows.tolist() for rows in trainer.subsets] == [list(range(60))]
    assert [result.pairs for result in trainer.run()] == [60]


def test_only_the_head_is_written(make_config: Callable[..., ExperimentConfig], start: Start, tmp_path: Path) -> None:
    model = build_model(make_config("small-vanilla-kmeans"))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    list(start(model.config, model).run())
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.weight", "head.bias"}
    kept = load_file(tmp_path / "run" / "round-0001" / "tuned.safetensors")
    assert set(kept) == changed
    assert all(torch.equal(kept[name], model.state_dict()[name]) for name in changed)


def test_a_finished_clustering_is_read_back(
    make_config: Callable[..., ExperimentConfig], start: Start, shards: list[ShardFile]
) -> None:
    config = make_config("small-vanilla-gmm")
    first = start(config)
    (result,) = first.run()
    with pytest.raises(DataError, match="holds 1 rounds of an earlier run: resume it, or name another folder"):
        next(start(config).run())
    second = start(config)
    (again,) = second.run(resume=True)
    assert (again.loss, again.cluster_sizes) == (result.loss, result.cluster_sizes)
    assert torch.equal(second.model.head.weight, first.model.head.weight)
    assert torch.equal(second.model.head.bias, first.model.head.bias)
    with pytest.raises(DataError, match="holds a run with another configuration or other data"):
        next(start(make_config("small-vanilla-gmm", "seed=1")).run(resume=True))


@pytest.mark.parametrize(
    ("assignment", "why"),
    [
        ("text.finetune=true", "vanilla clustering trains nothing: text.finetune and image.finetune must be false"),
        ("image.finetune=true", "vanilla clustering trains nothing: text.finetune and image.finetune must be false"),
        ("clustering.method=random", "random clusters say nothing about other pairs: vanilla needs kmeans or gmm"),
        ("k=2", "the image-text task has 4 classes, but k is 2"),
    ],
)
def test_what_vanilla_cannot_do_is_refused(
    make_config: Callable[..., ExperimentConfig], assignment: str, why: str
) -> None:
    with pytest.raises(WrongUseError, match=why):
        override(make_config("small-vanilla-kmeans"), [assignment])


def test_an_itrp_experiment_does_not_become_vanilla_with_its_encoder_fine_tuned(
    make_config: Callable[..., ExperimentConfig],
) -> None:
    with pytest.raises(WrongUseError, match="vanilla clustering trains nothing"):
        make_config("small-text", "algorithm=vanilla")
    config = make_config("small-text", "algorithm=vanilla", "text.finetune=false")
    assert (config.algorithm, config.k, config.tasks) == ("vanilla", 2, ("text",))
