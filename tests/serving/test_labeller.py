"""Both models over a shard: what is kept, what is shared, and what is never mixed."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from infra.catalog.queries import list_shards
from itrp.data.inputs import ShardFile
from itrp.errors import UnmappedModelError
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.prediction import predict_shard
from itrp.inference.runtimes import Runtime, exact_runtime
from itrp.labels import Task
from itrp.models.encoder_pair import fingerprint
from itrp.models.itrp_model import load_model
from serving.files import local_shards
from serving.labeller import ShardLabeller

if TYPE_CHECKING:
    from flows.platform import Platform

CPU = torch.device("cpu")
EXACT, QUICK = exact_runtime(CPU), Runtime(CPU, "bf16")


@pytest.fixture(scope="module")
def folders(trained: "Platform") -> dict[Task, Path]:
    registry = trained.registry
    return {task: registry.fetch(registry.resolve(f"itrp-{task}-task/2")) for task in (Task.TEXT, Task.IMAGE)}


@pytest.fixture(scope="module")
def shards(trained: "Platform") -> list[ShardFile]:
    with trained.catalog.session() as session:
        return local_shards(trained.store, list_shards(session, "landing"), trained.settings.cache_dir)


def make_labeller(folders: dict[Task, Path], cache: Path, runtime: Runtime = EXACT) -> ShardLabeller:
    """bf16 may be imitated by the processor: its vectors are the same."""
    return ShardLabeller(folders, cache=cache, device="cpu", runtime=runtime)


def copy_with_other_weights(folder: Path, target: Path, side: str) -> Path:
    """Another version of a model: the same untouched encoder, the fine-tuned one moved a little."""
    model, mapping = load_model(folder)
    with torch.no_grad():
        for parameter in getattr(model, side).parameters():
            parameter.mul_(1.01)
    model.save(target, mapping, {"round": 1})
    return target


def test_fp32_labels_are_those_of_evaluation(
    folders: dict[Task, Path], shards: list[ShardFile], tmp_path: Path
) -> None:
    """To the rounding of other batches; and the vectors it keeps are those that training reads."""
    labeller = make_labeller(folders, tmp_path / "own")
    ids, found = labeller.label(shards[0])
    assert len(ids) == shards[0].pairs
    cache = EmbeddingCache(tmp_path / "reference" / "embeddings", CPU)
    for task, folder in folders.items():
        model, mapping = load_model(folder)
        assert mapping is not None
        expected = predict_shard(model, shards[0], cache)
        named = labeller.models[task].predictor.name_classes(expected)
        np.testing.assert_allclose(found[task], named, atol=1e-5)
    kept, theirs = ({path.relative_to(tmp_path / name) for path in (tmp_path / name / "embeddings").rglob("*.npy")}
                    for name in ("own", "reference"))  # fmt: skip
    assert kept == theirs
    assert len(kept) == 2


def test_bf16_is_never_mixed_with_fp32(folders: dict[Task, Path], shards: list[ShardFile], tmp_path: Path) -> None:
    """One cache for both, in either order: each answers as with a cache of its own."""
    alone = {runtime: make_labeller(folders, tmp_path / runtime.name, runtime).label(shards[1])[1]
             for runtime in (EXACT, QUICK)}  # fmt: skip
    for order in ((EXACT, QUICK), (QUICK, EXACT)):
        shared = tmp_path / "-then-".join(runtime.name for runtime in order)
        for runtime in order:
            found = make_labeller(folders, shared, runtime).label(shards[1])[1]
            for task in folders:
                np.testing.assert_array_equal(found[task], alone[runtime][task])
        runtimes = {path.name.split("-", 2)[2] for path in (shared / "embeddings").glob("vectors-*")}
        assert runtimes == {"cpu", "cpu-bf16"}
        assert len(list((shared / "predictions").rglob("*.npy"))) == 4
    assert np.abs(alone[EXACT][Task.TEXT] - alone[QUICK][Task.TEXT]).max() > 0


def test_bf16_keeps_probabilities_close(folders: dict[Task, Path], shards: list[ShardFile], tmp_path: Path) -> None:
    exact, quick = (make_labeller(folders, tmp_path, runtime) for runtime in (EXACT, QUICK))
    for shard in shards:
        expected, found = exact.label(shard)[1], quick.label(shard)[1]
        for task in folders:
            assert np.abs(found[task] - expected[task]).max() < 0.1
            sure = np.abs(expected[task][:, 1] - 0.5) > 0.1
            np.testing.assert_array_equal(found[task][sure].argmax(1), expected[task][sure].argmax(1))


@pytest.mark.parametrize(("task", "side"), [(Task.TEXT, "text"), (Task.IMAGE, "image")])
def test_a_new_version_of_one_model_costs_its_own_encoder_alone(
    folders: dict[Task, Path], shards: list[ShardFile], tmp_path: Path, task: Task, side: str
) -> None:
    first = make_labeller(folders, tmp_path)
    (done,) = first.embed(shards[:1])
    assert (len(done.job.texts), len(done.job.images)) == (2, 2)  # each side fine-tuned once and untouched once
    before = first.finish(done)[1]
    (again,) = first.embed(shards[:1])
    assert (again.job.texts, again.job.images) == ([], [])
    other = copy_with_other_weights(folders[task], tmp_path / "other", side)
    second = make_labeller({**folders, task: other}, tmp_path)
    (done,) = second.embed(shards[:1])
    computed = [embedder.fingerprint for embedder in (*done.job.texts, *done.job.images)]
    assert computed == [fingerprint(getattr(load_model(other)[0], side))]
    after = second.finish(done)[1]
    clean = make_labeller({**folders, task: other}, tmp_path / "clean").label(shards[0])[1]
    unchanged = Task.IMAGE if task is Task.TEXT else Task.TEXT
    np.testing.assert_array_equal(after[unchanged], before[unchanged])
    assert np.abs(after[task] - before[task]).max() > 0
    for name in folders:
        np.testing.assert_array_equal(after[name], clean[name])


def test_vectors_of_fine_tuned_encoders_are_not_kept(
    folders: dict[Task, Path], shards: list[ShardFile], tmp_path: Path
) -> None:
    labeller = make_labeller(folders, tmp_path)
    labeller.label(shards[2])
    untouched = {name for model in labeller.models.values() if model.prepared for name in model.prepared.untouched}
    kept = {path.parent.name for path in (tmp_path / "embeddings").rglob("*.npy")}
    assert kept == {f"vectors-{name}-cpu" for name in untouched}


def test_a_model_without_class_names_is_refused_before_anything_is_computed(
    trained: "Platform", folders: dict[Task, Path], tmp_path: Path
) -> None:
    unmapped = trained.registry.fetch(trained.registry.resolve("itrp-text-task/1"))
    with pytest.raises(UnmappedModelError):
        make_labeller({**folders, Task.TEXT: unmapped}, tmp_path)
    assert list(tmp_path.iterdir()) == []
