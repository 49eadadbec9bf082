"""A run that was stopped anywhere goes on and ends with the same bytes as one that was not."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile
from itrp.errors import DataError
from itrp.inference.embeddings import EmbeddingCache
from itrp.models.itrp_model import build_model
from itrp.training.trainer import RoundResult, Trainer

CPU = torch.device("cpu")
EXPERIMENTS = {
    # dropout draws from the generators, Adam and the batch norm carry state from round to round
    "text": ["small-text", "dropout=0.3"],
    "image": ["small-image", "dropout=0.3"],
    "sgd": ["small-image", "image.optimizer.name=sgd"],
    "both": ["small-text", "image.finetune=true"],
    "head only": ["small-text", "text.finetune=false"],
}

KILLED_IN_ROUND_2 = """
import json, sys, time
from pathlib import Path
import torch
from itrp.config import ExperimentConfig
from itrp.inference.embeddings import EmbeddingCache
from itrp.data.inputs import ShardFile
from itrp.models.itrp_model import build_model
from itrp.training.trainer import Trainer

job = json.loads(sys.stdin.read())
torch.set_num_threads(job["threads"])

def wait_in_round_2(stage, done, total):
    if (stage, done) == ("round 2/3", 2):
        print("in the middle", flush=True)
        time.sleep(600)

trainer = Trainer(
    build_model(ExperimentConfig.model_validate(job["config"])),
    [ShardFile(name, Path(path), pairs) for name, path, pairs in job["shards"]],
    cache=EmbeddingCache(Path(job["cache"]), torch.device("cpu")),
    checkpoints=Path(job["checkpoints"]),
    progress=wait_in_round_2,
)
for result in trainer.run():
    print("round", result.round, flush=True)
"""


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vectors")


def start(config: ExperimentConfig, shards: Sequence[ShardFile], vectors: Path, checkpoints: Path) -> Trainer:
    return Trainer(build_model(config), shards, cache=EmbeddingCache(vectors, CPU), checkpoints=checkpoints)


def timeless(results: Sequence[RoundResult]) -> list[RoundResult]:
    return [replace(result, seconds={}) for result in results]


def assert_same_end(one: Path, other: Path) -> None:
    for file in ("tuned.safetensors", "optimizer.safetensors"):
        assert (one / "round-0003" / file).read_bytes() == (other / "round-0003" / file).read_bytes(), file


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_resumed_run_ends_as_an_undisturbed_one(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], vectors: Path, tmp_path: Path, name: str
) -> None:
    config = make_config(*EXPERIMENTS[name])
    undisturbed = list(start(config, shards, vectors, tmp_path / "whole").run())
    for done in (1, 2) if name == "image" else (1,):
        folder = tmp_path / f"after-{done}"
        run = start(config, shards, vectors, folder).run()
        for _ in range(done):
            next(run)
        del run
        resumed = list(start(config, shards, vectors, folder).run(resume=True))
        assert timeless(resumed) == timeless(undisturbed)
        assert_same_end(folder, tmp_path / "whole")


@pytest.mark.e2e
def test_a_run_that_was_killed_within_a_round_ends_as_an_undisturbed_one(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], vectors: Path, tmp_path: Path
) -> None:
    config = make_config("small-image", "dropout=0.3", "sampling=random")
    undisturbed = list(start(config, shards, vectors, tmp_path / "whole").run())
    job = {
        "config": config.model_dump(mode="json"),
        "shards": [[shard.hash, str(shard.path), shard.pairs] for shard in shards],
        "cache": str(vectors),
        "checkpoints": str(tmp_path / "killed"),
        "threads": torch.get_num_threads(),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_IN_ROUND_2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(job))
    process.stdin.close()
    seen = [process.stdout.readline().strip() for _ in range(2)]
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert seen == ["round 1", "in the middle"]
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["round-0001"]
    resumed = list(start(config, shards, vectors, tmp_path / "killed").run(resume=True))
    assert timeless(resumed) == timeless(undisturbed)
    assert_same_end(tmp_path / "killed", tmp_path / "whole")


def test_a_kill_while_a_checkpoint_is_written_costs_that_round_only(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], vectors: Path, tmp_path: Path
) -> None:
    config = make_config("small-text")
    list(start(config, shards, vectors, tmp_path / "whole").run())
    next(start(config, shards, vectors, tmp_path / "killed").run())
    draft = tmp_path / "killed" / ".draft-0002"
    draft.mkdir()
    (draft / "tuned.safetensors").write_bytes(b"half a fi")
    (draft / "state.json").write_text("{")
    results = list(start(config, shards, vectors, tmp_path / "killed").run(resume=True))
    assert [result.round for result in results] == [1, 2, 3]
    assert_same_end(tmp_path / "killed", tmp_path / "whole")
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == ["round-0001", "round-0002", "round-0003"]


def test_a_finished_run_is_told_again_without_computing(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], vectors: Path, tmp_path: Path
) -> None:
    config = make_config("small-text", "pairs=40")
    first = list(start(config, shards, vectors, tmp_path / "run").run())
    gone = [ShardFile(shard.hash, tmp_path / "gone.parquet", shard.pairs) for shard in shards]
    trainer = start(config, gone, tmp_path / "no vectors", tmp_path / "run")
    for again, before in zip(trainer.run(resume=True), first, strict=True):
        before.seconds.pop("checkpoint")  # a checkpoint cannot tell how long it took itself
        assert again == before  # seconds too: they are read, not taken again
    weights = trainer.model.state_dict()
    second = start(config, shards, vectors, tmp_path / "second")
    list(second.run())
    assert all(torch.equal(tensor, weights[name]) for name, tensor in second.model.state_dict().items())


def test_resuming_where_nothing_is_starts_from_the_beginning(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], vectors: Path, tmp_path: Path
) -> None:
    results = list(start(make_config("small-text", "pairs=20"), shards, vectors, tmp_path / "new").run(resume=True))
    assert [result.round for result in results] == [1]


def test_rounds_of_an_earlier_run_are_not_written_over(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], vectors: Path, tmp_path: Path
) -> None:
    config = make_config("small-text")
    next(start(config, shards, vectors, tmp_path).run())
    before = (tmp_path / "round-0001" / "tuned.safetensors").read_bytes()
    with pytest.raises(
        DataError, match=f"{tmp_path} holds 1 rounds of an earlier run: resume it, or name another folder"
    ):
        next(start(config, shards, vectors, tmp_path).run())
    assert (tmp_path / "round-0001" / "tuned.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    "change", ["seed=1", "sampling=over", "text.optimizer.learning_rate=1e-3", "pairs=59", "epochs=2"]
)
def test_another_configuration_cannot_go_on(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], vectors: Path, tmp_path: Path, change: str
) -> None:
    next(start(make_config("small-text"), shards, vectors, tmp_path).run())
    with pytest.raises(DataError, match="holds a run with another configuration or other data: it cannot be resumed"):
        next(start(make_config("small-text", change), shards, vectors, tmp_path).run(resume=True))


def test_other_data_cannot_go_on(
    make_config: Callable[..., ExperimentConfig], shards: list[ShardFile], vectors: Path, tmp_path: Path
) -> None:
    next(start(make_config("small-text"), shards, vectors, tmp_path).run())
    with pytest.raises(DataError, match="holds a run with another configuration or other data: it cannot be resumed"):
        next(start(make_config("small-text"), shards[::-1], vectors, tmp_path).run(resume=True))
