"""Two processes under torchrun train what one alone trains: same subsets, pseudo-labels and weights, one set of checkpoints."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile
from itrp.inference.embeddings import EmbeddingCache
from itrp.models.itrp_model import build_model
from itrp.training.trainer import Trainer

CPU = torch.device("cpu")
SGD = ["text.optimizer.name=sgd", "image.optimizer.name=sgd", "head_optimizer.name=sgd"]
TEXT = ["small-text", *SGD, "text.optimizer.learning_rate=0.05", "head_optimizer.learning_rate=0.1"]
IMAGE = [
    "small-image",
    *SGD,
    "image.optimizer.learning_rate=1e-4",
    "head_optimizer.learning_rate=0.01",
    "sampling=random",
]
EXPERIMENTS = {
    "text": TEXT,
    # 20 pairs in batches of 19: parts of 9 and 10, and then one pair that both processes work on
    "last pair": [*TEXT, "batch_size=19", "sampling=random"],
    "adam": ["small-text"],
    "image": [*IMAGE, "batch_size=9"],
    "both": [*IMAGE, "text.finetune=true", "batch_size=11"],
    "dropout": ["small-image", "dropout=0.3", "sampling=over"],
}
COMPARED = {"text": 3, "last pair": 3, "adam": 3, "image": 1, "both": 1}
"""Rounds that are compared with one process's. A network of random weights with batch norm doubles any rounding error at each
step: change its weights by a ten-millionth, and one process alone has clustered otherwise by the third round."""

LOSSES_APART = {"image": 1e-4, "both": 1e-4}
"""Relative: for the networks of that kind what their weights may differ by (1.03e-5 was seen on an Intel Xeon); others 1e-5."""

ONE_OF_TWO = """
import json, os, signal, sys
from pathlib import Path
import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from itrp.config import ExperimentConfig
from itrp.training.distributed import Peers
from itrp.errors import PeersDifferError
from itrp.inference.embeddings import EmbeddingCache
from itrp.data.inputs import ShardFile
from itrp.models.itrp_model import build_model
from itrp.training.shared_batch_norm import share_batch_norms
from itrp.training.trainer import Trainer

job = json.loads(Path(sys.argv[1]).read_text())
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
dist.init_process_group("gloo", rank=rank, world_size=world)
peers = Peers(rank, world)
folder = Path(job["folder"]) / f"rank-{rank}"
folder.mkdir(parents=True, exist_ok=True)
seen = []

class Watched(Trainer):
    def _train_pass(self, data, rows, labels, seed, number):
        seen.append([number, rows.tolist(), labels.tolist()])
        return super()._train_pass(data, rows, labels, seed, number)

def die(stage, done, total):
    if job["dies"] and rank == 1 and (stage, done) == ("round 2/3", 2):
        os.kill(os.getpid(), signal.SIGKILL)

for name, config in job["configs"].items():
    seen.clear()
    trainer = Watched(
        build_model(ExperimentConfig.model_validate(config)),
        [ShardFile(hash, Path(path), pairs) for hash, path, pairs in job["shards"]],
        cache=EmbeddingCache(Path(job["cache"]), torch.device("cpu")),
        checkpoints=Path(job["checkpoints"]) / name if job["checkpoints"] else folder / "checkpoints" / name,
        progress=die,
        peers=peers,
    )
    results = list(trainer.run(resume=job["resume"]))
    (folder / f"{name}.json").write_text(json.dumps({"seen": seen, "losses": [result.loss for result in results]}))
    save_file({key: value.contiguous() for key, value in trainer.model.tuned_state().items()}, folder / f"{name}.safetensors")
# two layers of batch normalisation in float64, one step on five pictures and one on a single one
torch.manual_seed(5)
from torch import nn
layers = [nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), nn.Tanh(), nn.Conv2d(4, 2, 2), nn.BatchNorm2d(2, momentum=None)]
net = nn.Sequential(*layers).double()
pictures, wanted = torch.randn(6, 3, 5, 5).double(), torch.randn(6, 2, 3, 3).double()
norms = share_batch_norms(net, peers)
whole = torch.nn.parallel.DistributedDataParallel(net, broadcast_buffers=False)
tensors = {}
for step, rows in enumerate((slice(0, 5), slice(5, 6))):
    share = peers.share(rows.stop - rows.start)
    for norm in norms:
        norm.share = share
    net.zero_grad()
    loss = (whole(pictures[rows][share.rows]) - wanted[rows][share.rows]).square().mean() * share.weight
    loss.backward()
    tensors.update({f"{step}/gradient/{name}": weight.grad.clone() for name, weight in net.named_parameters()})
    tensors.update({f"{step}/buffer/{name}": buffer.clone() for name, buffer in net.named_buffers()})
tensors["answers"] = net.eval()(pictures)
save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, folder / "norms.safetensors")
try:
    peers.check_equal("pictures", [np.arange(3), np.array([rank])])
except PeersDifferError as error:
    (folder / "differs.txt").write_text(str(error))
peers.check_equal("pictures", [np.arange(3)])
dist.destroy_process_group()
"""


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def sober_config(
    make_config: Callable[..., ExperimentConfig], tiny_text: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], ExperimentConfig]:
    """`sober_config(name)`: one of EXPERIMENTS, with a BERT that drops nothing out and a ResNet-18 of random weights."""
    folder = tmp_path_factory.mktemp("sober") / "bert"
    shutil.copytree(tiny_text, folder)
    config = json.loads((folder / "config.json").read_text())
    config.update(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    (folder / "config.json").write_text(json.dumps(config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_file(torchvision.models.resnet18().state_dict(), folder / "resnet18.safetensors")
    parts = [f"text.name={folder}", "image.name=resnet18", f"image.weights={folder / 'resnet18.safetensors'}"]

    def make(name: str) -> ExperimentConfig:
        experiment, *assignments = EXPERIMENTS[name]
        return make_config(experiment, *parts, *assignments)

    return make


@pytest.fixture(scope="module")
def together(
    sober_config: Callable[[str], ExperimentConfig],
    shards: Sequence[ShardFile],
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """`together(folder, *names)`: train in two processes that torchrun starts."""
    script = tmp_path_factory.mktemp("script") / "one_of_two.py"
    script.write_text(ONE_OF_TWO)

    def run(folder: Path, *names: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        job = {
            "configs": {name: sober_config(name).model_dump(mode="json") for name in names},
            "shards": [[shard.hash, str(shard.path), shard.pairs] for shard in shards],
            "cache": str(folder / "vectors"),
            "folder": str(folder),
            **{"checkpoints": None, "resume": False, "dies": False, **more},
        }
        (folder / "job.json").write_text(json.dumps(job))
        torchrun = [str(Path(sys.executable).with_name("torchrun")), "--standalone", "--nproc-per-node", "2"]
        told = {**os.environ, "PYTHONFAULTHANDLER": "1"}  # a process that aborts says where it was
        return subprocess.run(
            [*torchrun, str(script), str(folder / "job.json")], capture_output=True, text=True, env=told
        )

    return run


@pytest.fixture(scope="module")
def trained(together: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one launch that has trained all EXPERIMENTS."""
    folder = tmp_path_factory.mktemp("together")
    done = together(folder, *EXPERIMENTS)
    assert done.returncode == 0, done.stderr
    return folder


class Watched(Trainer):
    """Remembers what every pass was given."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.seen: list[list[Any]] = []

    def _train_pass(self, data: Any, rows: Any, labels: Any, seed: int, number: int) -> float:
        self.seen.append([number, rows.tolist(), labels.tolist()])
        return super()._train_pass(data, rows, labels, seed, number)


def read(folder: Path, rank: int, name: str) -> dict[str, Any]:
    return json.loads((folder / f"rank-{rank}" / f"{name}.json").read_text())


@pytest.mark.e2e
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_both_processes_see_and_end_with_the_same(trained: Path, name: str) -> None:
    ours, theirs = read(trained, 0, name), read(trained, 1, name)
    assert len(ours["seen"]) == 3
    assert ours["seen"] == theirs["seen"]
    assert ours["losses"] == theirs["losses"]
    weights = [(trained / f"rank-{rank}" / f"{name}.safetensors").read_bytes() for rank in (0, 1)]
    assert weights[0] == weights[1]
    rounds = sorted(path.name for path in (trained / "rank-0/checkpoints" / name).iterdir())
    assert rounds == ["round-0001", "round-0002", "round-0003"]
    assert not (trained / "rank-1/checkpoints").exists()  # the first alone writes


@pytest.mark.e2e
@pytest.mark.parametrize("name", COMPARED)
def test_two_processes_train_what_one_trains(
    trained: Path,
    sober_config: Callable[[str], ExperimentConfig],
    shards: Sequence[ShardFile],
    tmp_path: Path,
    name: str,
) -> None:
    """Subsets and pseudo-labels are equal; weights and batch-norm statistics differ by rounding, and have moved by far more."""
    model = build_model(sober_config(name))
    before = {key: value.clone() for key, value in model.tuned_state().items()}
    alone = Watched(model, shards, cache=EmbeddingCache(tmp_path / "vectors", CPU), checkpoints=tmp_path / "run")
    rounds = COMPARED[name]
    losses = [result.loss for result in islice(alone.run(), rounds)]
    two = read(trained, 0, name)
    assert two["seen"][:rounds] == alone.seen
    assert two["losses"][:rounds] == pytest.approx(losses, rel=LOSSES_APART.get(name, 1e-5))
    weights = load_file(trained / f"rank-0/checkpoints/{name}/round-{rounds:04d}/tuned.safetensors")
    off, moved = {}, {}
    for key, value in model.tuned_state().items():
        if not value.is_floating_point():
            assert torch.equal(weights[key], value), key  # batches the batch norm has seen
        elif not key.endswith("key.bias"):  # has no gradient but rounding errors, which Adam enlarges
            off[key] = float((weights[key] - value).abs().max() / (1 + value.abs().max()))
            moved[key] = float((value - before[key]).abs().max() / (1 + value.abs().max()))
    worst = max(off, key=off.__getitem__)
    print(
        f"{name}: moved by up to {max(moved.values()):.2g}, one and two processes differ by {off[worst]:.2g} ({worst})"
    )
    assert off[worst] < 1e-4
    assert max(moved.values()) > 1e-2


@pytest.mark.e2e
def test_batch_norm_sees_the_whole_batch(trained: Path) -> None:
    """Gradients, running statistics and answers in float64 against torch's own layers in one process."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        layers = [
            nn.Conv2d(3, 4, 2),
            nn.BatchNorm2d(4),
            nn.Tanh(),
            nn.Conv2d(4, 2, 2),
            nn.BatchNorm2d(2, momentum=None),
        ]
        net = nn.Sequential(*layers).double()
        images, wanted = torch.randn(6, 3, 5, 5).double(), torch.randn(6, 2, 3, 3).double()
    expected: dict[str, torch.Tensor] = {}
    for step, rows in enumerate((slice(0, 5), slice(5, 6))):
        net.zero_grad()
        (net(images[rows]) - wanted[rows]).square().mean().backward()
        for name, weight in net.named_parameters():
            assert weight.grad is not None
            expected[f"{step}/gradient/{name}"] = weight.grad.clone()
        expected.update({f"{step}/buffer/{name}": buffer.clone() for name, buffer in net.named_buffers()})
    expected["answers"] = net.eval()(images)
    for rank in (0, 1):
        found = load_file(trained / f"rank-{rank}/norms.safetensors")
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value.detach(), rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.e2e
def test_a_process_that_dies_ends_the_run_and_a_resumed_one_ends_as_undisturbed(
    together: Run, trained: Path, tmp_path: Path
) -> None:
    shared = tmp_path / "checkpoints"
    killed = together(tmp_path, "dropout", checkpoints=str(shared), dies=True)
    assert killed.returncode != 0
    assert "Signal 9 (SIGKILL)" in killed.stderr
    assert sorted(path.name for path in (shared / "dropout").iterdir() if path.name[0] != ".") == ["round-0001"]
    resumed = together(tmp_path, "dropout", checkpoints=str(shared), resume=True)
    numbers = [2, 3]
    if resumed.returncode:
        # an abort seen once in some fifty launches, its cause unknown: whoever resumes again must get there too
        numbers = numbers[len([*(shared / "dropout").glob("round-*")]) - 1 :]
        warnings.warn(f"resumed once more after: {resumed.stderr[:4000]}", stacklevel=1)
        resumed = together(tmp_path, "dropout", checkpoints=str(shared), resume=True)
    assert resumed.returncode == 0, resumed.stderr
    assert [number for number, *_ in read(tmp_path, 1, "dropout")["seen"]] == numbers
    for file in ("tuned.safetensors", "optimizer.safetensors"):
        whole = trained / "rank-0/checkpoints/dropout/round-0003" / file
        assert (shared / "dropout/round-0003" / file).read_bytes() == whole.read_bytes()


@pytest.mark.e2e
def test_processes_that_hold_different_things_are_told_apart(trained: Path) -> None:
    for rank in (0, 1):
        told = (trained / f"rank-{rank}/differs.txt").read_text()
        assert told.startswith(
            f"expected the same pictures in all 2 processes, found process {rank} with others (checksums"
        )
