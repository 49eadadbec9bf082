"""The gate on registered versions, the preview of what would change, and who is champion afterwards."""

import getpass
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from flows.jobs.promotion import run_promotion
from infra.catalog.tables import Dataset, LabelFile
from itrp.errors import UnmappedModelError, WrongUseError
from itrp.labels import Task
from serving.errors import NotFoundError
from serving.registration import register_model
from serving.registry import ModelVersion
from tests.scoring import find_work, pin_scorer

if TYPE_CHECKING:
    from flows.platform import Platform


def register_variant(
    platform: "Platform", folder: Path, task: Task, *, mapping: tuple[int, ...] | None, seed: int | None = None
) -> ModelVersion:
    """A new version with version 2's weights and other class names: the challenger."""
    from itrp.models.itrp_model import load_model
    from serving.registry import origin_tags

    source = platform.registry.resolve(f"itrp-{task}-task/2")
    model, _ = load_model(platform.registry.fetch(source))
    model.save(folder / "model", mapping=mapping, extra={"round": int(source.tags["itrp.round"])})
    tags = {**origin_tags(source), **({"itrp.seed": str(seed)} if seed is not None else {})}
    return register_model(platform.registry, folder / "model", source.run_id, task, tags=tags)


def champion(platform: "Platform", task: Task) -> str | None:
    found = platform.registry.find(task, "champion")
    return found.version if found else None


def gate_tags(platform: "Platform", reference: str) -> Mapping[str, str]:
    tags = platform.registry.resolve(reference).tags
    return {key.removeprefix("itrp.gate."): value for key, value in tags.items() if key.startswith("itrp.gate.")}


def score_all(platform: "Platform") -> list[LabelFile]:
    scorer = pin_scorer(platform)
    return [scorer.score(shard) for shard in find_work(platform.catalog, scorer.pair, backfill=True)]


def test_the_first_champion_must_beat_the_most_frequent_class(platform: "Platform") -> None:
    """Whatever these tiny models are worth: the decision is the figures', and the alias follows the decision."""
    report = run_promotion(platform, Task.IMAGE)
    assert (report.task, report.challenger, report.champion) == ("image", "itrp-image-task/2", None)
    assert report.figures["rival"] == "the most frequent class (no champion yet)"
    assert (report.figures["protocol"], report.figures["set"], report.figures["data"]) == ("dev", "raw", "labelled")
    assert report.figures["n"] == 16
    assert report.promoted is (float(report.figures["probability_better"]) >= 0.95)
    assert champion(platform, Task.IMAGE) == ("2" if report.promoted else None)
    assert champion(platform, Task.TEXT) is None
    assert report.preview is None


def test_the_gates_figures_are_the_evaluations(platform: "Platform", built: "object") -> None:
    evaluated = built.evaluated["image"]  # type: ignore[attr-defined]
    report = run_promotion(platform, Task.IMAGE, data="labelled")
    assert report.figures["f1"] == pytest.approx(evaluated.f1)
    majority = next(row for row in evaluated.rows if row["system"] == "majority")
    assert report.figures["rival_f1"] == pytest.approx(majority["f1"])


def test_the_gates_figures_are_written_on_the_version(scoring: "Platform", tmp_path: Path) -> None:
    """The worse challenger: the champion's weights with the class names exchanged."""
    second = scoring.registry.resolve("itrp-text-task/2")
    assert second.mapping is not None
    worse = register_variant(scoring, tmp_path, Task.TEXT, mapping=second.mapping[::-1])
    report = run_promotion(scoring, Task.TEXT)
    assert (str(worse), report.challenger, report.champion) == (
        "itrp-text-task/3", "itrp-text-task/3", "itrp-text-task/2",
    )  # fmt: skip
    assert not report.promoted
    assert champion(scoring, Task.TEXT) == "2"
    tags = gate_tags(scoring, "itrp-text-task/3")
    assert (tags["passed"], tags["champion_before"], tags["rival"]) == ("False", "itrp-text-task/2", "itrp-text-task/2")
    assert tags["reason"] == report.reason
    assert float(tags["difference"]) == pytest.approx(float(report.figures["difference"]), abs=1e-6)
    assert float(tags["difference"]) == pytest.approx(float(tags["f1"]) - float(tags["rival_f1"]), abs=2e-6)
    assert gate_tags(scoring, "itrp-text-task/2") == {}


def label_as_answered(platform: "Platform", version: ModelVersion) -> None:
    """Make the labelled set's labels, of both tasks, the version's own answers."""
    import numpy as np

    from itrp.data.annotations import Annotations
    from serving.assessment import Assessor, load_labelled_set

    assert version.mapping is not None
    labelled = load_labelled_set(platform.store, platform.catalog, "labelled", platform.settings.cache_dir)
    assessor = Assessor(platform.store, platform.registry, cache=platform.settings.cache_dir, device="cpu")
    answers = np.array(version.mapping)[assessor.own_clusters(version, labelled)]
    old = labelled.annotations
    data = Annotations(old.ids, old.split, answers, answers, old.controversial, answers, answers).to_parquet()
    platform.store.put("annotations/own.parquet", data)
    with platform.catalog.session() as session:
        session.execute(
            update(Dataset).where(Dataset.name == "labelled").values(annotations_key="annotations/own.parquet")
        )


def test_a_clearly_better_challenger_becomes_champion(platform: "Platform", tmp_path: Path) -> None:
    """The labels are the challenger's own answers: it is right everywhere, the champion (names exchanged) nowhere."""
    second = platform.registry.resolve("itrp-image-task/2")
    label_as_answered(platform, second)
    assert second.mapping is not None
    worse = register_variant(platform, tmp_path, Task.IMAGE, mapping=second.mapping[::-1])
    platform.registry.set_alias(worse, "champion")
    platform.registry.set_alias(second, "challenger")
    report = run_promotion(platform, Task.IMAGE)
    assert (report.promoted, report.figures["f1"], report.figures["rival_f1"]) == (True, 1.0, 0.0)
    assert (report.warnings, champion(platform, Task.IMAGE)) == ([], "2")
    tags = gate_tags(platform, "itrp-image-task/2")
    assert tags["passed"] == "True"
    assert not {"accepted", "accepted_by", "warnings"} & tags.keys()


def test_a_doubtful_challenger_waits_for_a_persons_word(platform: "Platform", tmp_path: Path) -> None:
    """Version 2 of the text task, trained on fewer pairs than two batches, is right everywhere, the champion nowhere."""
    second = platform.registry.resolve("itrp-text-task/2")
    label_as_answered(platform, second)
    assert second.mapping is not None
    worse = register_variant(platform, tmp_path, Task.TEXT, mapping=second.mapping[::-1])
    platform.registry.set_alias(worse, "champion")
    platform.registry.set_alias(second, "challenger")
    rejected = run_promotion(platform, Task.TEXT)
    assert (rejected.promoted, rejected.figures["f1"], champion(platform, Task.TEXT)) == (False, 1.0, worse.version)
    (warning,) = rejected.warnings
    assert warning.startswith("round 1 of 2 ")
    assert "expected at least 2 batches of 16" in warning
    assert rejected.reason.endswith(f"rejected because {warning}; promote with --accept to take it all the same")
    tags = gate_tags(platform, "itrp-text-task/2")
    assert (tags["passed"], tags["warnings"]) == ("False", "few-pairs")
    assert "accepted" not in tags

    shown = run_promotion(platform, Task.TEXT, accept=True, dry_run=True)
    assert (shown.promoted, shown.warnings, champion(platform, Task.TEXT)) == (False, [warning], worse.version)
    assert "accepted" not in gate_tags(platform, "itrp-text-task/2")

    accepted = run_promotion(platform, Task.TEXT, accept=True, flow_run_id="4711")
    assert (accepted.promoted, champion(platform, Task.TEXT)) == (True, "2")
    assert accepted.reason.endswith(f"accepted by hand although {warning}")
    tags = gate_tags(platform, "itrp-text-task/2")
    assert (tags["passed"], tags["accepted"]) == ("True", "few-pairs")
    assert tags["accepted_by"] == f"{getpass.getuser()}, flow run 4711"


def test_a_challenger_that_answers_as_the_other_task_does_is_refused(platform: "Platform", tmp_path: Path) -> None:
    """The text task's weights under the image task's name."""
    from itrp.models.itrp_model import load_model
    from serving.registry import origin_tags

    text = platform.registry.resolve("itrp-text-task/2")
    label_as_answered(platform, text)
    model, _ = load_model(platform.registry.fetch(text))
    model.save(tmp_path / "model", mapping=text.mapping, extra={"round": 2})
    tags = {key: value for key, value in origin_tags(text).items() if not key.startswith("itrp.warning.")}
    copy = register_model(platform.registry, tmp_path / "model", text.run_id, Task.IMAGE, tags=tags)
    report = run_promotion(platform, Task.IMAGE)
    assert (report.challenger, report.figures["f1"], report.promoted) == (str(copy), 1.0, False)
    (warning,) = report.warnings
    assert warning.startswith(f"itrp-text-task/2 and {copy} put 80 of 80 pairs of labelled (100.0%, by chance ")
    tags = dict(platform.registry.resolve(str(copy)).tags)
    assert tags["itrp.warning.same-answers"] == warning
    assert tags["itrp.gate.warnings"] == "same-answers"


def test_a_version_of_an_older_release_has_no_warnings(platform: "Platform") -> None:
    client = platform.registry.client
    version = platform.registry.resolve("itrp-text-task/2")
    for key in version.tags:
        if key.startswith("itrp.warning."):
            client.delete_model_version_tag(version.name, version.version, key)
    assert run_promotion(platform, Task.TEXT, dry_run=True).warnings == []


def test_the_champion_does_not_challenge_itself(scoring: "Platform") -> None:
    report = run_promotion(scoring, Task.TEXT)
    assert not report.promoted
    assert report.reason == "the challenger is the champion already: nothing to do"
    assert gate_tags(scoring, "itrp-text-task/2") == {}


def test_an_unmapped_challenger_is_refused(platform: "Platform", tmp_path: Path) -> None:
    register_variant(platform, tmp_path, Task.TEXT, mapping=None)
    for options in ({}, {"dry_run": True}, {"to": "3"}, {"accept": True}):
        with pytest.raises(UnmappedModelError) as caught:
            run_promotion(platform, Task.TEXT, **options)  # type: ignore[arg-type]
        assert str(caught.value) == (
            "itrp-text-task/3 knows clusters but not yet which class each one is; name them with human labels: "
            "itrp evaluate itrp-text-task/3 --data NAME, where NAME is a data set ingested with `itrp ingest itr`; without any: "
            "itrp name itrp-text-task/3 shows tweets of each cluster"
        )
    assert champion(platform, Task.TEXT) is None


def test_without_a_challenger_there_is_nothing_to_promote(platform: "Platform") -> None:
    platform.registry.client.delete_registered_model("itrp-text-task")
    with pytest.raises(NotFoundError, match="itrp-text-task has no version yet; `itrp train` registers one"):
        run_promotion(platform, Task.TEXT)


def test_rolling_back(scoring: "Platform", tmp_path: Path) -> None:
    third = register_variant(scoring, tmp_path, Task.TEXT, mapping=(0, 1))
    scoring.registry.set_alias(third, "champion")
    preview = run_promotion(scoring, Task.TEXT, to="2", dry_run=True)
    assert (preview.promoted, champion(scoring, Task.TEXT)) == (False, "3")
    report = run_promotion(scoring, Task.TEXT, to="2")
    assert (report.promoted, report.champion, report.challenger) == (True, "itrp-text-task/3", "itrp-text-task/2")
    assert report.reason == f"chosen by hand with --to; warning: {report.warnings[0]}"
    assert report.warnings[0].startswith("round 1 of 2 ")  # version 2's own: told, and a person's word counts
    assert champion(scoring, Task.TEXT) == "2"
    assert pin_scorer(scoring).pair.text.version == "2"


def test_rolling_back_to_nowhere_is_told(scoring: "Platform") -> None:
    with pytest.raises(WrongUseError, match="--to expects the number of a version, found 'two'"):
        run_promotion(scoring, Task.TEXT, to="two")
    with pytest.raises(NotFoundError, match="no model is registered as itrp-text-task/9"):
        run_promotion(scoring, Task.TEXT, to="9")
    assert champion(scoring, Task.TEXT) == "2"


def test_an_alias_moved_by_hand_counts_at_the_next_scoring(scoring: "Platform", tmp_path: Path) -> None:
    """As in the MLflow page: its own client, nothing of ours."""
    from mlflow import MlflowClient

    register_variant(scoring, tmp_path, Task.IMAGE, mapping=(0, 1))
    assert pin_scorer(scoring).pair.image.version == "2"
    uri = scoring.settings.mlflow_uri
    MlflowClient(uri, uri).set_registered_model_alias("itrp-image-task", "champion", "3")
    scorer = pin_scorer(scoring)
    assert (scorer.pair.text.version, scorer.pair.image.version) == ("2", "3")


@pytest.fixture
def label_free(fork: "Callable[[Path], Platform]", tmp_path: Path) -> "Platform":
    """Without a labelled data set."""
    platform = fork(tmp_path / "work")
    with platform.catalog.session() as session:
        session.execute(update(Dataset).values(annotations_key=None))
    return platform


def test_without_labels_nothing_is_promoted_unless_a_person_says_so(label_free: "Platform") -> None:
    report = run_promotion(label_free, Task.TEXT)
    assert not report.promoted
    assert report.reason.startswith("no labelled data set, so only label-free figures: cluster balance ")
    assert "keeps the old champion; promote with --accept if these figures convince you" in report.reason
    assert champion(label_free, Task.TEXT) is None
    assert gate_tags(label_free, "itrp-text-task/2")["passed"] == "False"
    assert set(report.figures) == {"cluster_balance", "mean_confidence", "warnings"}
    assert 0 <= float(report.figures["cluster_balance"]) <= 1
    assert 0.5 <= float(report.figures["mean_confidence"]) <= 1

    accepted = run_promotion(label_free, Task.TEXT, accept=True)
    assert (accepted.promoted, champion(label_free, Task.TEXT)) == (True, "2")
    tags = gate_tags(label_free, "itrp-text-task/2")
    assert (tags["passed"], tags["accepted"]) == ("True", "label-free figures, few-pairs")
    assert tags["accepted_by"] == getpass.getuser()


def test_without_labels_other_seeds_and_the_champion_are_compared(label_free: "Platform", tmp_path: Path) -> None:
    """The same weights under another seed's name, and as champion: agreement 1 with both."""
    label_free.registry.set_alias(label_free.registry.resolve("itrp-image-task/2"), "champion")
    register_variant(label_free, tmp_path, Task.IMAGE, mapping=(0, 1), seed=7)
    report = run_promotion(label_free, Task.IMAGE)
    assert (report.figures["agreement_between_seeds"], report.figures["agreement_with_champion"]) == (1.0, 1.0)
    assert report.figures["agreement_of_all_seeds"] == 1.0
    assert not report.promoted


def test_accept_means_nothing_where_there_are_labels(scoring: "Platform", tmp_path: Path) -> None:
    second = scoring.registry.resolve("itrp-text-task/2")
    assert second.mapping is not None
    register_variant(scoring, tmp_path, Task.TEXT, mapping=second.mapping[::-1])
    assert not run_promotion(scoring, Task.TEXT, accept=True).promoted
    assert champion(scoring, Task.TEXT) == "2"
