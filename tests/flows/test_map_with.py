"""`itrp evaluate --map-with`: class names from a few labels, or from a dual encoder and none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from flows.jobs.evaluation import run_evaluation
from itrp.errors import DataError, WeightsUnavailableError, WrongUseError
from itrp.labels import Task

if TYPE_CHECKING:
    from flows.platform import Platform


@pytest.fixture(scope="session")
def joint_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of random weights: what it says of a pair is noise, but always the same."""
    from itrp.baselines.stand_ins import write_clip

    return write_clip(tmp_path_factory.mktemp("joint"), seed=0)


def clusters_by_round(platform: "Platform", task: Task) -> tuple[Any, dict[int, Any]]:
    """The labelled set, and its pairs' clusters [n] by both rounds."""
    from serving.assessment import Assessor, load_labelled_set

    labelled = load_labelled_set(platform.store, platform.catalog, "labelled", platform.settings.cache_dir)
    assessor = Assessor(platform.store, platform.registry, cache=platform.settings.cache_dir, device="cpu")
    version = platform.registry.resolve(f"itrp-{task}-task/1")
    return labelled, assessor.clusters_by_round(version, labelled, [1, 2])


def test_class_names_from_twenty_labels(platform: "Platform") -> None:
    report = run_evaluation(platform, ["itrp-text-task/1"], "labelled", map_with="20", seed=3)
    assert (report.protocol, report.models) == ("dev-20", ["itrp-text-task/3"])
    assert report.naming == "class names and checkpoint from 20 labelled pairs of the train split, drawn with seed 3"
    assert [row["system"] for row in report.rows] == [
        "itrp-text-task/1", "majority", "vanilla kmeans", "vanilla gmm",
    ]  # fmt: skip
    assert report.table.count("dev-20") == 4

    labelled, clusters = clusters_by_round(platform, Task.TEXT)
    drawn = np.random.default_rng(3).permutation(64)[:20]  # all of the 64 dev pairs are labelled
    truth = labelled.annotations.text
    found = []
    for number, answers in clusters.items():
        agree = int((answers[drawn] == truth[drawn]).sum())
        mapping = (0, 1) if agree >= 10 else (1, 0)  # of equally good ones the first
        classes = np.array(mapping)[answers]
        found.append(
            (f1_score(truth[drawn], classes[drawn], average="weighted", zero_division=0), -number, mapping, classes)
        )
    _, number, mapping, classes = max(found, key=lambda each: each[:2])
    named = platform.registry.resolve("itrp-text-task@challenger")
    assert (named.version, named.tags["itrp.round"], named.mapping) == ("3", str(-number), mapping)
    assert report.accuracy == pytest.approx(float((classes[64:] == truth[64:]).mean()))
    told = {name: named.tags.get(f"itrp.mapped_{name}") for name in ("on", "from", "by", "seed", "with")}
    assert told == {"on": "labelled", "from": "1", "by": "dev-20", "seed": "3", "with": None}


def test_figures_are_logged_under_their_own_name(platform: "Platform", built: Any) -> None:
    report = run_evaluation(platform, ["itrp-image-task/2"], "labelled", map_with="5")
    metrics = platform.registry.client.get_run(platform.registry.resolve("itrp-image-task/2").run_id).data.metrics
    assert metrics["image/test_raw/dev-5/f1"] == report.f1
    assert metrics["image/test_raw/dev/f1"] == built.evaluated["image"].f1
    assert report.models == ["itrp-image-task/2"]  # it has its class names already


def test_class_names_without_labels(platform: "Platform", joint_model: Path) -> None:
    from itrp.models.device import choose_device
    from itrp.models.dual_encoder import load_dual_encoder

    report = run_evaluation(platform, ["itrp-image-task/1"], "labelled", map_with=str(joint_model))
    assert (report.protocol, report.round, report.models) == ("joint", 2, ["itrp-image-task/3"])
    assert [row["system"] for row in report.rows] == ["itrp-image-task/1", "vanilla kmeans", "vanilla gmm"]

    labelled, by_round = clusters_by_round(platform, Task.IMAGE)
    clusters = by_round[2]
    cosines = load_dual_encoder(str(joint_model)).cosines(labelled.shards, choose_device("cpu"))[:64]
    means = [float(cosines[clusters[:64] == cluster].mean()) for cluster in (0, 1)]
    named = platform.registry.resolve("itrp-image-task@challenger")
    assert named.mapping == ((0, 1) if means[0] < means[1] else (1, 0))
    tags = {name: named.tags[f"itrp.mapped_{name}"] for name in ("on", "from", "by", "with")}
    assert tags == {"on": "labelled", "from": "1", "by": "joint", "with": str(joint_model)}
    gap, z = (float(named.tags[f"itrp.mapped_{name}"]) for name in ("gap", "z"))
    spread = np.sqrt(sum(((cosines[clusters[:64] == c] - means[c]) ** 2).sum() for c in (0, 1)) / 62)
    assert gap == pytest.approx(abs(means[0] - means[1]) / spread, abs=1e-3)
    assert f"{gap:.2f} standard deviations apart, {z:.1f} standard errors" in report.naming
    assert ("may be chance" in report.naming) == (z < 2)


def test_two_models_at_once(platform: "Platform", joint_model: Path) -> None:
    """The relation from two models; the text model's and the image model's clusters are both told of."""
    both = ["itrp-image-task/2", "itrp-text-task/2"]
    few = run_evaluation(platform, both, "labelled", map_with="20")
    assert (few.task, few.protocol, few.n, sorted(few.models)) == ("image-text", "dev-20", 16, both)
    joint = run_evaluation(platform, both, "labelled", map_with=str(joint_model))
    assert (joint.protocol, sorted(joint.models)) == ("joint", both)
    assert [joint.naming.count(f"class names of the {task} task by text-image") for task in ("text", "image")] == [
        1,
        1,
    ]
    assert joint.naming.count("is a guess") == 1


def test_what_cannot_be_asked_for_registers_nothing(platform: "Platform") -> None:
    wrong: list[tuple[dict[str, str], type[Exception], str]] = [
        (
            {"map_with": "20", "protocol": "oracle"},
            WrongUseError,
            "expected a protocol or --map-with, found oracle and '20'",
        ),
        ({"map_with": "65"}, DataError, "expected 1 to 64 examples, the labelled pairs of the train split, found 65"),
        ({"map_with": "./no-such-model"}, WeightsUnavailableError, "no-such-model"),
    ]
    for arguments, kind, told in wrong:
        with pytest.raises(kind) as caught:
            run_evaluation(platform, ["itrp-text-task/1"], "labelled", **arguments)  # type: ignore[arg-type]
        assert told in str(caught.value)
    assert [version.version for version in platform.registry.versions(Task.TEXT)] == ["2", "1"]


@pytest.mark.usefixtures("prefect_server")
def test_map_with_on_the_command_line(itrp: Callable[..., Any], platform: "Platform", joint_model: Path) -> None:
    work = platform.settings.work_dir
    done = itrp(work, "evaluate", "itrp-text-task/1", "--data", "labelled", "--map-with", "20", "--seed", "7", "--json")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert (report["protocol"], report["models"]) == ("dev-20", ["itrp-text-task/3"])
    assert platform.registry.resolve("itrp-text-task/3").tags["itrp.mapped_seed"] == "7"
    done = itrp(work, "evaluate", "itrp-text-task/1", "--data", "labelled", "--map-with", joint_model)
    assert done.status == 0, done.err
    assert f"class names of the text task by text-image similarity ({joint_model})" in done.out
    assert done.out.endswith("models: itrp-text-task/4\n")
