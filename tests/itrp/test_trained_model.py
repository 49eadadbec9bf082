"""Training, naming, predicting, evaluating and keeping a model from Python alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from itrp import (
    EmbeddingCache,
    PairTable,
    Task,
    TrainedModel,
    Trainer,
    build_model,
    evaluate,
    load_experiment,
    load_model,
    name_clusters,
    predict,
    read_pairs,
    train,
)
from itrp.datasets.synthetic import SyntheticTweet
from itrp.errors import DataError, UnmappedModelError, WrongUseError
from itrp.models.device import choose_device
from tests.itrp.conftest import IMAGE_NAME, MakeConfig


@pytest.fixture(scope="module")
def frame(tweets: list[SyntheticTweet]) -> pd.DataFrame:
    """60 tweets, all labelled, named t0 to t59; one image is broken."""
    images = [tweet.image for tweet in tweets]
    images[4] = images[4][: len(images[4]) // 2]
    return pd.DataFrame(
        {
            "text": [tweet.text for tweet in tweets],
            "image": images,
            "text_is_represented": [int(tweet.text_is_represented) for tweet in tweets],
            "image_adds": [int(tweet.image_adds) for tweet in tweets],
            "split": ["train"] * 40 + ["test"] * 20,
        },
        index=[f"t{number}" for number in range(60)],
    )


@pytest.fixture(scope="module")
def pairs(frame: pd.DataFrame) -> PairTable:
    return read_pairs(frame)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained") / "text"


@pytest.fixture(scope="module")
def model(pairs: PairTable, make_config: MakeConfig, folder: Path) -> TrainedModel:
    return train(pairs, make_config("small-text", "seed=3"), folder)


def test_training_needs_no_label(
    frame: pd.DataFrame, model: TrainedModel, make_config: MakeConfig, tmp_path: Path
) -> None:
    bare = read_pairs(frame[["text", "image"]])
    again = train(bare, make_config("small-text", "seed=3"), tmp_path / "again")
    assert again.mapping is None
    for name, tensor in again.system.state_dict().items():
        assert np.array_equal(tensor, model.system.state_dict()[name]), name


def test_every_row_gets_its_place(model: TrainedModel, pairs: PairTable, frame: pd.DataFrame) -> None:
    named = name_clusters(model, pairs)
    found = predict(named, pairs)
    assert found.index.tolist() == frame.index.tolist()
    assert found["label"].isna().tolist() == [number == 4 for number in range(60)]
    assert [place for place, told in found["reason"].items() if told is not None] == ["t4"]
    assert found["reason"]["t4"].startswith("image_truncated: expected a whole picture")
    usable = found.drop(index="t4")
    assert usable["label"].tolist() == (usable["probability"] > 0.5).astype(int).tolist()
    few = predict(named, read_pairs(frame.iloc[[9, 4, 2]]))
    assert few.index.tolist() == ["t9", "t4", "t2"]
    assert few["probability"].to_numpy() == pytest.approx(
        found["probability"][["t9", "t4", "t2"]].to_numpy(), abs=1e-5, nan_ok=True
    )


def test_names_are_those_that_fit_the_train_split(model: TrainedModel, pairs: PairTable, frame: pd.DataFrame) -> None:
    named = name_clusters(model, pairs)
    assert sorted(named.mapping or ()) == [0, 1]
    train_rows = frame.index[:40].drop("t4")
    right = (predict(named, pairs)["label"] == frame["text_is_represented"])[train_rows].mean()
    assert right >= 0.5
    turned = name_clusters(model, read_pairs(frame.assign(text_is_represented=1 - frame["text_is_represented"])))
    assert turned.mapping == (named.mapping or ())[::-1] or right == 0.5
    with pytest.raises(
        UnmappedModelError, match=r"name_clusters\(model, pairs\) chooses them by a few rows with labels in text_is"
    ):
        predict(model, pairs)
    with pytest.raises(
        DataError, match="expected rows of the train split with labels in text_is_represented, found none"
    ):
        name_clusters(model, read_pairs(frame.assign(split="test")))
    with pytest.raises(DataError, match=r"expected labels .* in a column text_is_represented, found no such column"):
        name_clusters(model, read_pairs(frame[["text", "image"]]))


def test_evaluation_counts_on_the_test_split(model: TrainedModel, pairs: PairTable, frame: pd.DataFrame) -> None:
    named = name_clusters(model, pairs)
    found = evaluate(named, pairs)
    labels = frame["text_is_represented"][40:]
    assert (found.task, found.n, found.set) == (Task.TEXT, 20, "raw")
    assert found.accuracy == pytest.approx((predict(named, pairs)["label"][40:] == labels).mean())
    assert evaluate(model, pairs).f1 == found.f1  # names of the train split, as name_clusters gives
    with pytest.raises(DataError, match="no labelled pair for the text task"):
        evaluate(named, read_pairs(frame.assign(split="train")))


def test_a_model_is_kept(model: TrainedModel, pairs: PairTable, folder: Path, tmp_path: Path) -> None:
    named = name_clusters(model, pairs)
    named.save(tmp_path / "named")
    loaded = load_model(tmp_path / "named")
    assert (loaded.mapping, loaded.round, loaded.task) == (named.mapping, 2, Task.TEXT)
    pd.testing.assert_frame_equal(predict(loaded, pairs), predict(named, pairs))
    assert load_model(str(folder)).mapping is None
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "model"]
    with pytest.raises(DataError, match="expected a new folder to save the model in, found"):
        named.save(tmp_path / "named")
    with pytest.raises(DataError, match="expected a saved ITRp model in"):
        load_model(tmp_path)


def test_a_folder_holds_one_run(pairs: PairTable, make_config: MakeConfig, folder: Path, model: TrainedModel) -> None:
    with pytest.raises(DataError, match="expected a folder without a model, found one in"):
        train(pairs, make_config("small-text"), folder)


def test_a_killed_run_goes_on(pairs: PairTable, make_config: MakeConfig, model: TrainedModel, tmp_path: Path) -> None:
    """What `Trainer` leaves after its first round is what a run killed in its second one leaves."""
    config = make_config("small-text", "seed=3")
    cache = EmbeddingCache(tmp_path / "cache", choose_device("cpu"), config.embed_batch_size)
    trainer = Trainer(build_model(config), pairs.shards, cache=cache, checkpoints=tmp_path / "run/checkpoints")
    assert next(trainer.run()).rounds == 2
    with pytest.raises(DataError, match="holds 1 rounds of an earlier run: resume it"):
        train(pairs, config, tmp_path / "run")
    resumed = train(pairs, config, tmp_path / "run", resume=True)
    assert np.array_equal(resumed.system.state_dict()["head.weight"], model.system.state_dict()["head.weight"])


def test_a_model_of_four_classes_is_evaluated_on_relations(
    pairs: PairTable, make_config: MakeConfig, frame: pd.DataFrame, tmp_path: Path
) -> None:
    clusters = train(pairs, make_config("small-vanilla-kmeans"), tmp_path / "vanilla")
    named = name_clusters(clusters, pairs)
    found = predict(named, pairs).drop(index="t4")
    assert set(found["label"]) <= {0, 1, 2, 3}
    assert (found["probability"] >= 0.25).all()
    result = evaluate(named, pairs)
    relations = 2 * frame["text_is_represented"] + frame["image_adds"]
    assert (result.task, result.n) == (Task.IMAGE_TEXT, 20)
    assert result.accuracy == pytest.approx((found["label"][-20:] == relations[-20:]).mean())
    half = TrainedModel(named.system, tuple(name // 2 for name in named.mapping or ()), 1)
    assert set(predict(half, pairs)["label"].dropna()) <= {0, 1}
    with pytest.raises(WrongUseError, match="one half of a model of four clusters"):
        evaluate(half, pairs)


def test_a_supervised_system_learns_from_the_labels(
    pairs: PairTable, frame: pd.DataFrame, tiny_text: Path, tiny_image: Path, tmp_path: Path
) -> None:
    parts = [f"text.name={tiny_text}", "image.name=shufflenet_v2_x0_5", f"image.weights={tiny_image}", "image.size=64"]
    config = load_experiment("small-bert-resnet-image", "epochs=2", *(f"network.{part}" for part in parts))
    system = train(pairs, config, tmp_path / "supervised", device="cpu")
    assert (system.mapping, system.task) == ((0, 1), Task.IMAGE)
    assert name_clusters(system, pairs) is system
    loaded = load_model(tmp_path / "supervised")
    pd.testing.assert_frame_equal(predict(loaded, pairs), predict(system, pairs))
    assert evaluate(loaded, pairs).n == 20
    with pytest.raises(DataError, match=r"expected labels .* in a column image_adds"):
        train(read_pairs(frame[["text", "image"]]), config, tmp_path / "other")


def test_an_experiment_is_a_name_with_assignments() -> None:
    config = load_experiment("small-text", "seed=3", "text.optimizer.learning_rate=1e-5")
    assert (config.name, config.seed) == ("small-text", 3)
    with pytest.raises(WrongUseError, match="no experiment is called 'big-text'; known are paper-text"):
        load_experiment("big-text")
    with pytest.raises(WrongUseError, match="no setting is called 'sead'"):
        load_experiment("small-text", "sead=3")


def test_a_head_learns_from_a_few_labels_and_has_names(
    pairs: PairTable, frame: pd.DataFrame, tiny_text: Path, tiny_image: Path, tmp_path: Path
) -> None:
    small = [f"text.name={tiny_text}", f"image.name={IMAGE_NAME}", f"image.weights={tiny_image}", "image.size=64"]
    model = train(pairs, load_experiment("labelled-head", *small, "task=image"), tmp_path / "head")
    assert (model.task, model.mapping) == (Task.IMAGE, (0, 1))
    assert name_clusters(model, pairs) is model
    found = predict(model, pairs)
    assert found["label"].isna().tolist() == [number == 4 for number in range(60)]
    assert found.equals(predict(load_model(tmp_path / "head"), pairs))
    assert evaluate(model, pairs).n == 20
    bare = read_pairs(frame[["text", "image"]])
    with pytest.raises(DataError, match="expected labels"):
        train(bare, load_experiment("labelled-head", *small), tmp_path / "bare")
