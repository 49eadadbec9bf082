"""Supervised systems beside ITRp models: of one task, without labels, on the command line."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from flows.jobs.evaluation import run_evaluation
from itrp.errors import DataError, WrongUseError
from tests.scoring import find_work, pin_scorer

if TYPE_CHECKING:
    from flows.platform import Platform


def test_a_supervised_model_of_one_task_stands_beside_an_itrp_model(platform: "Platform") -> None:
    from flows.jobs.training import run_training

    trained = run_training(platform, "small-clip-text", "labelled", ["epochs=1", "pairs=40", "validation=0"])
    assert trained.models == ["itrp-text-task/3"]
    alone = run_evaluation(platform, ["itrp-text-task/3"], "labelled", protocol="last")
    assert (alone.task, alone.models, alone.round) == ("text", ["itrp-text-task/3"], 1)
    both = run_evaluation(platform, ["itrp-text-task/3", "itrp-image-task/2"], "labelled", set_name="RM")
    assert (both.task, both.set, both.n) == ("image-text", "RM", 12)
    assert both.models == ["itrp-text-task/3", "itrp-image-task/2"]
    for reference in both.models:
        platform.registry.set_alias(platform.registry.resolve(reference), "champion")
    scorer = pin_scorer(platform)
    rows = [scorer.score(shard) for shard in find_work(platform.catalog, scorer.pair, backfill=False)]
    assert sum(row.pairs for row in rows) == 30


def test_a_supervised_system_needs_labels(platform: "Platform") -> None:
    from flows.jobs.training import run_training

    with pytest.raises(DataError, match="the data set 'unlabelled' has no human labels"):
        run_training(platform, "small-clip-text", "unlabelled")


def test_the_command_line_names_both_versions(
    platform: "Platform", itrp: Callable[..., Any], prefect_server: str
) -> None:
    settings = ["epochs=1", "pairs=40", "batch_size=40"]
    done = itrp(platform.settings.work_dir, "train", "small-cma-clip", "--data", "labelled", *settings)
    assert done.status == 0, done.err
    first, second, warning = done.out.strip().splitlines()
    assert first.startswith(
        "itrp-text-task/3 and itrp-image-task/3 (challenger) from small-cma-clip on labelled: 1 epochs, MLflow run "
    )
    assert (
        second == "next: itrp evaluate itrp-text-task@challenger itrp-image-task@challenger --data NAME measures its F1"
    )
    assert warning.startswith("warning: every epoch trained on 36 pairs, expected at least 2 batches of 40")


def test_what_is_asked_without_training_is_not_trained(trained: "Platform", itrp: Callable[..., Any]) -> None:
    from flows.jobs.training import run_training

    told = (
        "small-zero-shot-vlm is not trained: itrp zero-shot MODEL --data NAME evaluates such a model, "
        "itrp reproduce figure4 this one"
    )
    with pytest.raises(WrongUseError, match=told):
        run_training(trained, "small-zero-shot-vlm", "labelled")
    done = itrp(trained.settings.work_dir, "train", "small-zero-shot-vlm", "--data", "labelled")
    assert (done.status, done.out, done.err) == (2, "", f"itrp: {told}\n")
