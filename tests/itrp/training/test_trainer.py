import random
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from itrp.config import ExperimentConfig, override
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Pair
from itrp.datasets.synthetic import SyntheticTweet
from itrp.errors import DataError
from itrp.inference.embeddings import EmbeddingCache
from itrp.models.itrp_model import ItrpModel, build_model
from itrp.training.checkpoints import read_state
from itrp.training.trainer import RoundResult, Trainer

CPU = torch.device("cpu")
Start = Callable[..., Trainer]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the file: the frozen sides are embedded once."""
    return tmp_path_factory.mktemp("vectors")


@pytest.fixture
def start(shards: Sequence[ShardFile], vectors: Path, tmp_path: Path) -> Start:
    """start(config): a trainer with a fresh model; its checkpoints lie in tmp_path/name."""

    def make(config: ExperimentConfig, name: str = "run", model: ItrpModel | None = None) -> Trainer:
        return Trainer(
            model or build_model(config), shards, cache=EmbeddingCache(vectors, CPU), checkpoints=tmp_path / name
        )

    return make


def tuned(folder: Path, number: int) -> dict[str, Tensor]:
    return load_file(folder / f"round-{number:04d}" / "tuned.safetensors")


def optimizer_state(folder: Path, number: int) -> dict[str, Tensor]:
    return load_file(folder / f"round-{number:04d}" / "optimizer.safetensors")


def test_every_round_tells_what_it_did(
    make_config: Callable[..., ExperimentConfig], start: Start, tmp_path: Path
) -> None:
    config = make_config("small-text", "subset_size=17")  # 60 = 3 subsets of 20
    trainer = start(config)
    assert trainer.rounds == 3
    results = list(trainer.run())
    assert [(result.round, result.rounds, result.pairs) for result in results] == [(1, 3, 20), (2, 3, 20), (3, 3, 20)]
    for result in results:
        assert len(result.cluster_sizes) == 2
        assert sum(result.cluster_sizes) == 20
        assert result.sampled_sizes == (min(result.cluster_sizes),) * 2
        assert 0 < result.loss < 3
        assert set(result.seconds) == {"embed", "cluster", "sample", "train", "checkpoint"}
    assert results[0].agreement is None
    assert all(result.agreement is not None and 0.5 <= result.agreement <= 1 for result in results[1:])
    for result in results:
        state = read_state(tmp_path / "run", result.round)
        assert state["result"]["loss"] == result.loss
        assert ExperimentConfig.model_validate(state["config"]) == config


def test_figures_name_everything_worth_a_curve() -> None:
    result = RoundResult(2, 3, 20, 0.5, (12, 8), (8, 8), 0.75, {"embed": 1.5})
    assert dict(result.figures()) == {
        "loss": 0.5,
        "pairs": 20,
        "agreement_with_previous_round": 0.75,
        "cluster_0_size": 12,
        "cluster_0_sampled": 8,
        "cluster_1_size": 8,
        "cluster_1_sampled": 8,
        "seconds_embed": 1.5,
    }
    first = RoundResult(1, 3, 20, 0.5, (12, 8), (8, 8), None)
    assert "agreement_with_previous_round" not in dict(first.figures())


def noise_of(state: Iterable[str]) -> set[str]:
    """Attention's key biases: softmax takes them away again, so their gradients are rounding errors, which Adam enlarges."""
    return {name for name in state if name.endswith("key.bias")}


@pytest.mark.parametrize("experiment", ["small-text", "small-image"])
def test_a_frozen_encoder_does_not_move_and_the_other_does(
    make_config: Callable[..., ExperimentConfig], start: Start, experiment: str
) -> None:
    config = make_config(experiment)
    model = build_model(config)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    list(start(config, model=model).run())
    moved, frozen = ("text.", "image.") if experiment == "small-text" else ("image.", "text.")
    counters = 0
    for name, tensor in model.state_dict().items():
        if name.startswith(frozen):
            assert torch.equal(tensor, before[name]), name
        elif name.startswith(moved) and name not in noise_of(before):
            assert not torch.equal(tensor, before[name]), name  # every one, running means and variances too
            counters += name.endswith("num_batches_tracked")
    assert counters == (56 if moved == "image." else 0)


def test_the_encoders_optimizer_goes_on_and_the_heads_does_not(
    make_config: Callable[..., ExperimentConfig], start: Start, tmp_path: Path
) -> None:
    """Over-sampling gives batches of 8 of `sampled` pairs; Adam counts its steps."""
    steps, kept = 0, None
    for result in start(make_config("small-image", "head_optimizer.learning_rate=1e-12")).run():
        steps += -(-sum(result.sampled_sizes) // 8)
        state = optimizer_state(tmp_path / "run", result.round)
        assert {name.split("/")[0] for name in state} == {"image"}
        assert {name.split("/")[2] for name in state} == {"step", "exp_avg", "exp_avg_sq"}
        assert {float(tensor) for name, tensor in state.items() if name.endswith("/step")} == {steps}
        head = tuned(tmp_path / "run", result.round)["head.weight"]
        assert kept is None or (head - kept).abs().max() > 1e-2  # with such steps only a new draw changes it
        kept = head


@pytest.mark.parametrize(
    ("experiment", "changes", "rounds"),
    [
        ("small-text", ["sampling=under"], 3),
        ("small-text", ["sampling=over"], 3),
        ("small-text", ["sampling=combination"], 3),
        ("small-text", ["sampling=random"], 3),
        ("small-text", ["clustering.method=gmm"], 3),
        ("small-text", ["clustering.method=random"], 3),
        ("small-text", ["task=image-text", "k=4", "sampling=combination"], 3),
        ("small-text", ["text.finetune=false"], 3),
        ("small-image", ["text.finetune=true"], 3),
        ("small-image", ["image.optimizer.name=sgd", "image.optimizer.learning_rate=3e-3"], 3),
        ("small-text", ["epochs=2", "shuffle=true", "dropout=0.3"], 6),
        ("small-text", ["pairs=20", "text.pooling=cls", "text.strip_link=true"], 1),
        ("small-image", ["pairs=21", "batch_size=1"], 1),
    ],
)
def test_every_switch_runs(
    make_config: Callable[..., ExperimentConfig],
    start: Start,
    tmp_path: Path,
    experiment: str,
    changes: list[str],
    rounds: int,
) -> None:
    config = make_config(experiment, *changes)
    trainer = start(config)
    assert trainer.rounds == rounds
    results = [next(trainer.run())] if rounds > 1 and "epochs=2" not in changes else list(trainer.run())
    sizes, sampled = results[0].cluster_sizes, results[0].sampled_sizes
    assert len(sizes) == config.k
    assert sum(sizes) == results[0].pairs
    even = {"under": min(sizes), "over": max(sizes), "combination": results[0].pairs // config.k}
    assert sampled == (sizes if config.sampling == "random" else (even[config.sampling],) * config.k)
    state = tuned(tmp_path / "run", len(results))
    assert state["head.weight"].shape == (config.k, 1056)
    assert all(torch.isfinite(tensor).all() for tensor in state.values())
    tuned_sides = {name.split(".")[0] for name in state} - {"head"}
    assert tuned_sides == {side for side in ("text", "image") if getattr(config, side).finetune}


@pytest.mark.parametrize("fusion", ["multiplication", "addition"])
def test_encoders_of_equal_width_can_be_multiplied_and_added(
    make_config: Callable[..., ExperimentConfig], start: Start, wide_text: Path, tmp_path: Path, fusion: str
) -> None:
    trainer = start(make_config("small-text", f"fusion={fusion}", f"text.name={wide_text}", "pairs=20"))
    assert next(trainer.run()).pairs == 20
    assert tuned(tmp_path / "run", 1)["head.weight"].shape == (2, 1024)


def test_a_second_epoch_sees_the_same_subsets(make_config: Callable[..., ExperimentConfig], start: Start) -> None:
    trainer = start(make_config("small-text", "epochs=2", "clustering.method=random", "shuffle=true"))
    results = list(trainer.run())
    assert [result.round for result in results] == [1, 2, 3, 4, 5, 6]
    assert [result.rounds for result in results] == [6] * 6
    everything = np.sort(np.concatenate(trainer.subsets))
    np.testing.assert_array_equal(everything, np.arange(60))
    assert not np.array_equal(np.concatenate(trainer.subsets), np.arange(60))


def draws_of_random(act: Callable[[], object]) -> list[str]:
    """What this thread draws from Python's global generator. Its state would tell of all threads, such as Prefect's."""
    drawn: list[str] = []

    def note(frame: object, event: str, function: object) -> None:
        if event == "c_call" and getattr(function, "__self__", None) is random._inst:  # type: ignore[attr-defined]
            drawn.append(str(function))

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return drawn


def test_draws_from_the_global_generator_are_seen() -> None:
    assert draws_of_random(lambda: random.shuffle([1, 2, 3]))
    assert draws_of_random(random.random)
    assert not draws_of_random(lambda: random.Random(0).random())


def test_the_seed_decides_the_weights_and_nothing_else_does(
    make_config: Callable[..., ExperimentConfig], start: Start, tmp_path: Path
) -> None:
    """Text encoder with dropout inside, dropout on the fused vector: the generators matter, the global ones do not."""
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        random.seed(name)
        np.random.seed(len(name))
        torch.manual_seed(len(name))
        trainer = start(make_config("small-text", f"seed={seed}", "dropout=0.2", "pairs=40"), name)
        before = (torch.random.get_rng_state(), repr(np.random.get_state(legacy=False)))
        assert not draws_of_random(lambda trainer=trainer: list(trainer.run()))
        assert torch.equal(torch.random.get_rng_state(), before[0])
        assert repr(np.random.get_state(legacy=False)) == before[1]
    one, same, other = (tuned(tmp_path / name, 2) for name in ("one", "same", "other"))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_global_generators_stay_where_they_were_between_rounds(
    make_config: Callable[..., ExperimentConfig], start: Start
) -> None:
    run = start(make_config("small-text", "dropout=0.2")).run()
    next(run)
    before = torch.random.get_rng_state()
    next(run)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_progress_tells_each_stage_from_its_beginning(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], vectors: Path, tmp_path: Path
) -> None:
    calls: list[tuple[str, int, int]] = []
    config = make_config("small-text", "pairs=20", "sampling=random")
    trainer = Trainer(
        build_model(config),
        shards,
        cache=EmbeddingCache(vectors, CPU),
        checkpoints=tmp_path,
        progress=lambda stage, done, total: calls.append((stage, done, total)),
    )
    list(trainer.run())
    images = [call for call in calls if call[0] == "images embedded"]
    shard = images[0][2]  # vectors are kept by whole shards
    assert (images[0][1], images[-1][1]) == (0, shard)
    assert [call for call in calls if call not in images] == [
        ("embedding for round 1/1", 0, 20), ("embedding for round 1/1", 20, 20),
        ("clustering for round 1/1", 0, 1), ("clustering for round 1/1", 1, 1),
        ("round 1/1", 1, 3), ("round 1/1", 2, 3), ("round 1/1", 3, 3),
    ]  # fmt: skip


def test_too_few_pairs_are_refused_before_anything_is_computed(
    make_config: Callable[..., ExperimentConfig],
    write_shard: Callable[..., ShardFile],
    tweets: list[SyntheticTweet],
    tmp_path: Path,
) -> None:
    shard = write_shard(tmp_path, [Pair("1", tweets[0].text, tweets[0].image, "a.jpg")])
    model = build_model(make_config("small-text"))
    with pytest.raises(DataError, match="training needs at least 2 pairs, found 1"):
        Trainer(model, [shard], cache=EmbeddingCache(tmp_path, CPU), checkpoints=tmp_path)


def test_only_the_shards_that_hold_the_wanted_pairs_are_read(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], vectors: Path, tmp_path: Path
) -> None:
    gone = ShardFile("0" * 64, tmp_path / "gone.parquet", 26)
    config = make_config("small-text", "pairs=34", "subset_size=34")
    model = build_model(config)
    trainer = Trainer(model, [shards[0], gone], cache=EmbeddingCache(vectors, CPU), checkpoints=tmp_path / "run")
    assert [result.pairs for result in trainer.run()] == [34]


@pytest.mark.parametrize("experiment", ["small-text", "small-image"])
def test_the_packaged_encoders_are_fine_tuned(
    shards: list[ShardFile], vectors: Path, tmp_path: Path, experiment: str
) -> None:
    from itrp.experiments import find_experiment

    config = override(find_experiment(experiment), ["image.size=64", "pairs=24", "batch_size=8"])
    model = build_model(config)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    list(Trainer(model, shards, cache=EmbeddingCache(vectors, CPU), checkpoints=tmp_path).run())
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    side = experiment.removeprefix("small-")
    expected = {name for name in before if name.startswith((f"{side}.", "head."))}
    assert moved <= expected
    assert len(moved) > 0.9 * len(expected)
    assert any(name.endswith("running_mean") for name in moved) == (side == "image")
