"""Heads from a few labels of 60 tweets, on encoders of some thousand weights; saved, loaded and asked again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from itrp.config import override
from itrp.data.annotations import Annotations
from itrp.data.inputs import ShardFile
from itrp.data.look import LOOK_FOLDER, STATISTICS
from itrp.datasets.synthetic import SyntheticTweet
from itrp.errors import DataError, WrongUseError
from itrp.experiments import find_experiment
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import embed_shard, predict_shards
from itrp.labels import Task
from itrp.models.encoder_pair import WEIGHTS_FILE
from itrp.models.head_config import LabelledHeadConfig
from itrp.models.labelled_head import LabelledHeadModel, build_labelled_head_model, load_labelled_head_model
from itrp.systems import load_system, predicted_task
from itrp.training.labelled_head import HeadResult, _group, choose_labels, train_labelled_head
from tests.itrp.conftest import IMAGE_NAME

MakeHead = Callable[..., LabelledHeadConfig]
Train = Callable[..., tuple[LabelledHeadModel, HeadResult]]
TRAIN = 40
"""Pairs of the train split."""


def annotate(tweets: list[SyntheticTweet], train: int = TRAIN, **changed: NDArray[np.int64]) -> Annotations:
    sides = {
        "text": np.array([int(tweet.text_is_represented) for tweet in tweets]),
        "image": np.array([int(tweet.image_adds) for tweet in tweets]),
    } | changed
    return Annotations(
        ids=np.array([tweet.id for tweet in tweets]),
        split=np.array(["train"] * train + ["test"] * (len(tweets) - train)),
        controversial=np.zeros(len(tweets), dtype=bool),
        corrected_text=sides["text"],
        corrected_image=sides["image"],
        **sides,
    )


@pytest.fixture(scope="module")
def annotations(tweets: list[SyntheticTweet]) -> Annotations:
    return annotate(tweets)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingCache:
    return EmbeddingCache(tmp_path_factory.mktemp("cache"), torch.device("cpu"))


@pytest.fixture(scope="module")
def make_head(tiny_text: Path, tiny_image: Path) -> MakeHead:
    small = [f"text.name={tiny_text}", f"image.name={IMAGE_NAME}", f"image.weights={tiny_image}", "image.size=64"]

    def make(*assignments: str) -> LabelledHeadConfig:
        config = override(find_experiment("labelled-head"), [*small, *assignments])
        assert isinstance(config, LabelledHeadConfig)
        return config

    return make


@pytest.fixture(scope="module")
def fit(make_head: MakeHead, shards: list[ShardFile], annotations: Annotations, cache: EmbeddingCache) -> Train:
    def train(*assignments: str, of: Annotations = annotations) -> tuple[LabelledHeadModel, HeadResult]:
        model = build_labelled_head_model(make_head(*assignments))
        return model, train_labelled_head(model, shards, of, cache)

    return train


@pytest.fixture(scope="module")
def trained(fit: Train) -> tuple[LabelledHeadModel, HeadResult]:
    return fit()


def test_both_tasks_get_a_head_on_all_features(
    trained: tuple[LabelledHeadModel, HeadResult], shards: list[ShardFile], cache: EmbeddingCache
) -> None:
    model, result = trained
    assert (model.tasks, model.answers, result.notes) == ((Task.TEXT, Task.IMAGE), Task.TEXT, [])
    assert result.blocks == ("text", "image", "products", "score", "look")
    blocks = model.read_features(*embed_shard(model, shards[0], cache), shards[0])
    assert [block.shape for block in blocks.values()] == [
        (34, model.text.width), (34, model.image.width), (34, 32), (34, 1), (34, len(STATISTICS)),
    ]  # fmt: skip  # a common space of no more dimensions than the text's vector has
    assert (cache.folder / LOOK_FOLDER / f"{shards[0].hash}.npy").exists()
    figures = dict(result.figures())
    assert figures["pairs"] == 60
    for task in ("text", "image"):
        assert figures[f"{task}/labels_0"] + figures[f"{task}/labels_1"] == TRAIN
        assert 0 <= figures[f"{task}/cv_ece"] <= 1
    assert figures["gate_auc"] == result.alignment.fitted.area  # type: ignore[union-attr]


def test_every_block_weighs_the_same(
    trained: tuple[LabelledHeadModel, HeadResult], shards: list[ShardFile], cache: EmbeddingCache
) -> None:
    """Over all pairs a standardised block has mean 0, and variances that add up to 1, but for features that never vary."""
    model, _ = trained
    parts = [model.read_features(*embed_shard(model, shard, cache), shard) for shard in shards]
    raw = {block: np.concatenate([part[block] for part in parts]) for block in model.blocks}
    found = model.standardiser.apply_to(np.concatenate([*raw.values()], axis=1))
    start = 0
    for block, values in raw.items():
        own = found[:, start : start + values.shape[1]]
        start += values.shape[1]
        varying = (values.std(axis=0) > 1e-9).mean()
        assert own.mean(axis=0) == pytest.approx(0, abs=1e-2), block
        assert own.var(axis=0).sum() == pytest.approx(varying, abs=0.05), block
    assert start == found.shape[1]


def test_the_probabilities_are_by_pair(
    trained: tuple[LabelledHeadModel, HeadResult], shards: list[ShardFile], cache: EmbeddingCache
) -> None:
    model, _ = trained
    found = predict_shards(model, shards, cache)
    assert found.shape == (60, 2)
    assert found.dtype == np.float32
    assert found.sum(axis=1) == pytest.approx(1)


def test_it_is_saved_and_loaded_to_the_last_bit(
    trained: tuple[LabelledHeadModel, HeadResult], shards: list[ShardFile], cache: EmbeddingCache, tmp_path: Path
) -> None:
    model, _ = trained
    expected, digests = {}, set()
    for task in model.tasks:
        model.answers = task
        expected[task] = predict_shards(model, shards, cache)
        digests.add(model.head_digest())
        model.save(tmp_path / str(task), (0, 1), {"round": 1})
        loaded, mapping = load_system(tmp_path / str(task))
        assert isinstance(loaded, LabelledHeadModel)
        assert (mapping, predicted_task(loaded), loaded.blocks) == ((0, 1), task, model.blocks)
        assert np.array_equal(predict_shards(loaded, shards, cache), expected[task])
        assert loaded.head_digest() == model.head_digest()
    model.answers = Task.TEXT
    assert not np.array_equal(expected[Task.TEXT], expected[Task.IMAGE])
    assert len(digests) == 2


def test_a_damaged_file_is_said(trained: tuple[LabelledHeadModel, HeadResult], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    trained[0].save(tmp_path / "model", (0, 1))
    weights = tmp_path / "model" / WEIGHTS_FILE
    save_file({name: each for name, each in load_file(weights).items() if not name.startswith("heads.text")}, weights)
    with pytest.raises(DataError, match=r"expected a head for the text task in .*, found none"):
        load_labelled_head_model(tmp_path / "model")


def test_the_same_seed_gives_the_same_model(fit: Train, trained: tuple[LabelledHeadModel, HeadResult]) -> None:
    again, _ = fit()
    for name, tensor in trained[0].state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_other_images_beside_the_texts(
    trained: tuple[LabelledHeadModel, HeadResult], shards: list[ShardFile], cache: EmbeddingCache
) -> None:
    model, shard = trained[0], shards[0]
    vectors, own = embed_shard(model, shard, cache), np.arange(shard.pairs)
    expected = model.classify_vectors(*vectors, shard)
    assert np.array_equal(model.classify_vectors(*vectors, shard, own), expected)
    assert not np.array_equal(model.classify_vectors(*vectors, shard, np.roll(own, 1)), expected)


def test_without_a_folder_nothing_is_kept_and_all_is_the_same(
    trained: tuple[LabelledHeadModel, HeadResult], shards: list[ShardFile], cache: EmbeddingCache
) -> None:
    model, shard = trained[0], shards[1]
    vectors = embed_shard(model, shard, cache)
    expected, kept = model.classify_vectors(*vectors, shard), model.kept_in
    model.kept_in = None
    assert np.array_equal(model.classify_vectors(*vectors, shard), expected)
    model.kept_in = kept


def test_fewer_labels_of_one_task_can_be_asked_for(fit: Train) -> None:
    model, result = fit("task=image", "labels=25", "head.blocks=[image, text]")
    assert (model.tasks, model.blocks, model.aligner) == ((Task.IMAGE,), ("text", "image"), None)
    assert len(result.heads[Task.IMAGE].labels) == 25
    assert result.alignment is None
    assert "gate_auc" not in dict(result.figures())


def test_too_few_labels_are_refused(fit: Train, tweets: list[SyntheticTweet]) -> None:
    with pytest.raises(DataError) as caught:
        fit(of=annotate(tweets, train=19))
    assert str(caught.value) == (
        "expected at least 20 labels of the text task in the train split, found 19: label 1 more pairs; expected at least 20 "
        "labels of the image task in the train split, found 19: label 1 more pairs; `itrp train small-aligned`, for the text "
        "task, needs no label"
    )


def test_one_class_is_refused_and_the_other_task_is_learned(
    fit: Train, tweets: list[SyntheticTweet], annotations: Annotations
) -> None:
    rare = np.zeros(60, dtype=np.int64)
    rare[3] = 1
    model, result = fit("head.blocks=[look]", of=annotate(tweets, text=rare))
    assert (model.tasks, model.answers) == ((Task.IMAGE,), Task.IMAGE)
    assert result.notes == [
        "no head for the text task: expected at least 2 labels of each class of the text task in the train split, found 1 'text "
        "represented' among 40: label more pairs that may be so"
    ]
    with pytest.raises(DataError, match="found 1 'text represented' among 40"):
        fit("task=text", of=annotate(tweets, text=rare))


def test_the_test_splits_labels_are_not_looked_at(fit: Train, tweets: list[SyntheticTweet]) -> None:
    config = LabelledHeadConfig(name="any")
    rows, notes = choose_labels(config, annotate(tweets, train=30))
    assert notes == []
    assert {task: max(found) for task, found in rows.items()} == {Task.TEXT: 29, Task.IMAGE: 29}


def test_too_few_pairs_for_an_alignment_leave_its_features_out(
    make_head: MakeHead, shards: list[ShardFile], annotations: Annotations, cache: EmbeddingCache
) -> None:
    """The first shard has 34 pairs, an alignment needs 40."""
    model = build_labelled_head_model(make_head())
    result = train_labelled_head(model, shards[:1], annotations.take(np.arange(34)), cache)
    assert result.blocks == model.blocks == ("text", "image", "look")
    (note,) = result.notes
    assert note.startswith(
        "without an alignment of texts and images, and so without a * b and z: expected at least 40 pairs"
    )
    with pytest.raises(DataError, match="expected at least 40 pairs"):
        train_labelled_head(
            build_labelled_head_model(make_head("head.blocks=[score]")),
            shards[:1], annotations.take(np.arange(34)), cache,
        )  # fmt: skip


@pytest.mark.parametrize(
    "assignment", ["head.blocks=[]", "head.blocks=[text, text]", "labels=19", "text.finetune=true"]
)
def test_settings_that_are_none(make_head: MakeHead, assignment: str) -> None:
    with pytest.raises(WrongUseError, match=assignment.partition("=")[0].partition(".")[0]):
        make_head(assignment)


def test_pairs_without_a_label_connect_nothing_and_a_chain_of_captions_leaves_images() -> None:
    labels = np.array([0, 1, 0, 1])
    apart = _group(labels, np.array([1, 2, 3, 4]), np.array([5, 6, 7, 8]))
    assert len(set(apart)) == 4
    # every caption stands beside two images, every image beside two captions: one chain
    texts, images = np.array([1, 2, 2, 1]), np.array([5, 5, 6, 6])
    np.testing.assert_array_equal(_group(labels, texts, images), images)
