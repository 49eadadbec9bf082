"""One key for one fact: who asks for a shard's predictions, and why, makes no difference to what is computed."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from infra.catalog.queries import list_shards
from itrp.errors import DataError
from itrp.labels import Task
from itrp.models.itrp_model import load_model
from serving.weights import Weights, decode_weights, read_weights, weights_of

if TYPE_CHECKING:
    from flows.platform import Platform

TASKS = (Task.TEXT, Task.IMAGE)


def save_network(
    folder: Path, answers: str = "text", *, number: float = 1, file: bytes = b"words", **extra: object
) -> Path:
    """What a supervised system's folder holds, with a network of one number."""
    (folder / "network").mkdir(parents=True)
    (folder / "network" / "vocabulary.txt").write_bytes(file)
    save_file({"head": torch.tensor([number])}, folder / "weights.safetensors")
    description = {"config": {"network": {"name": "tiny"}}, "answers": answers, **extra}
    (folder / "model.json").write_text(json.dumps(description))
    return folder


def test_a_network_is_known_by_its_tensors_its_files_and_the_task_it_is_asked_about(tmp_path: Path) -> None:
    known = read_weights(save_network(tmp_path / "first")).fingerprint
    assert read_weights(save_network(tmp_path / "copy", mapping=[0, 1], round=7)).fingerprint == known
    others = [
        save_network(tmp_path / "task", "image"),
        save_network(tmp_path / "tensor", number=2),
        save_network(tmp_path / "file", file=b"other words"),
    ]
    assert len({known, *(read_weights(folder).fingerprint for folder in others)}) == 4
    with pytest.raises(DataError, match="expected a saved ITRp model in"):
        read_weights(tmp_path / "none")


def test_a_file_that_is_written_anew_is_hashed_anew(tmp_path: Path) -> None:
    folder = save_network(tmp_path / "model")
    before = read_weights(folder).fingerprint
    save_file({"head": torch.tensor([3.0, 4.0])}, folder / "weights.safetensors")
    assert read_weights(folder).fingerprint != before


def test_a_checkpoint_takes_the_place_of_the_tensors_it_holds(tmp_path: Path) -> None:
    base = Weights("s", {"frozen": "f", "head": "h"})
    save_file({"head": torch.tensor([5.0])}, tmp_path / "tuned.safetensors")
    tuned = base.tuned(tmp_path / "tuned.safetensors")
    assert (tuned.settings, tuned.tensors["frozen"], set(tuned.tensors)) == ("s", "f", {"frozen", "head"})
    assert tuned.fingerprint != base.fingerprint
    assert decode_weights(tuned.encode()) == tuned


@pytest.mark.parametrize("task", TASKS)
def test_a_version_made_of_a_round_is_that_rounds_checkpoint(trained: "Platform", task: Task) -> None:
    from serving.assessment import Assessor, own_round

    registry = trained.registry
    assessor = Assessor(trained.store, registry, cache=trained.settings.cache_dir, device="cpu")
    first, named = (registry.resolve(f"itrp-{task}-task/{number}") for number in (1, 2))
    base = read_weights(registry.fetch(first))
    rounds = {number: base.tuned(assessor.tuned_file(first, number)).fingerprint for number in (1, 2)}
    assert rounds[1] != rounds[2]
    assert base.fingerprint == rounds[own_round(first)]
    assert read_weights(registry.fetch(named)).fingerprint == rounds[own_round(named)]
    model, _ = load_model(registry.fetch(named))
    assert weights_of(model) == read_weights(registry.fetch(named))


def test_scoring_computes_nothing_that_evaluation_has_and_writes_the_same_bytes(
    trained: "Platform", tmp_path: Path
) -> None:
    """Whatever the number of threads: evaluation takes the batches that scoring takes, each on one core."""
    from itrp.inference.runtimes import exact_runtime
    from serving.assessment import Assessor, load_labelled_set
    from serving.files import local_shards
    from serving.labeller import ShardLabeller

    registry, cache = trained.registry, tmp_path / "evaluated"
    folders = {task: registry.fetch(registry.resolve(f"itrp-{task}-task/2")) for task in TASKS}
    labelled = load_labelled_set(trained.store, trained.catalog, "labelled", cache)
    assessor = Assessor(trained.store, registry, cache=cache, device="cpu")
    for task in TASKS:
        first, named = (registry.resolve(f"itrp-{task}-task/{number}") for number in (1, 2))
        assessor.clusters_by_round(first, labelled, [1, 2])
        assessor.own_probabilities(named, labelled)
    kept = {path: path.stat().st_mtime_ns for path in (cache / "predictions").rglob("*.npy")}
    assert len(kept) == len(TASKS) * 2 * len(labelled.shards)  # two rounds: version 2 is one of them

    runtime = exact_runtime(torch.device("cpu"))
    after, alone = (
        ShardLabeller(folders, cache=each, device="cpu", runtime=runtime) for each in (cache, tmp_path / "own")
    )
    with trained.catalog.session() as session:
        landing = local_shards(trained.store, list_shards(session, "landing")[:1], cache)
    for shard in labelled.shards:
        (done,) = after.embed([shard])
        assert (done.job.texts, done.job.images) == ([], [])
        (ids, found, aside), (own_ids, own, own_aside) = after.finish(done), alone.finish(next(alone.embed([shard])))
        assert (ids, aside) == (own_ids, own_aside)
        for task in TASKS:
            np.testing.assert_array_equal(found[task], own[task])
    assert {path: path.stat().st_mtime_ns for path in (cache / "predictions").rglob("*.npy")} == kept

    after.label(landing[0])  # and the other way round
    kept = {path: path.stat().st_mtime_ns for path in (cache / "predictions").rglob("*.npy")}
    for task in TASKS:
        assessor.predictions.probabilities(registry.resolve(f"itrp-{task}-task/2"), landing)
    assert {path: path.stat().st_mtime_ns for path in (cache / "predictions").rglob("*.npy")} == kept


def test_shard_by_shard_is_the_same_and_asks_once(tmp_path: Path) -> None:
    from itrp.data.inputs import ShardFile
    from serving.prediction_cache import PredictionCache

    shards = [ShardFile(str(number), tmp_path / "none", 1) for number in range(3)]
    kept, asked = PredictionCache(tmp_path), []

    def predict(missing: Sequence[ShardFile]) -> Iterator[NDArray[np.float32]]:
        asked.append([shard.hash for shard in missing])
        return (np.full((1, 2), int(shard.hash), dtype=np.float32) for shard in missing)

    first = kept.iterate("w", "cpu", shards[1:2], predict)
    assert next(first).tolist() == [[1, 1]]
    assert [each.tolist() for each in kept.iterate("w", "cpu", shards, predict)] == [[[0, 0]], [[1, 1]], [[2, 2]]]
    assert kept.read("w", "cpu", shards, predict)[:, 0].tolist() == [0, 1, 2]
    assert asked == [["1"], ["0", "2"]]
    with pytest.raises(ValueError, match="longer"):
        kept.read("other", "cpu", shards, lambda missing: [np.ones((1, 2), dtype=np.float32)] * 4)
