"""Which of the last scored labels a challenger would change: previewed, and counted in the label files afterwards."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from flows.jobs.promotion import run_promotion
from infra.catalog.tables import LabelFile
from itrp.labels import Task
from serving.labels import decode_labels
from tests.flows.test_promotion import champion, gate_tags, register_variant, score_all

if TYPE_CHECKING:
    from flows.platform import Platform


def read_labels(platform: "Platform", rows: list[LabelFile]) -> list[dict[str, object]]:
    assert rows
    with platform.catalog.session() as session:
        assert session.scalars(select(LabelFile)).all()
    return [label for row in rows for label in decode_labels(platform.store.get(row.key)).to_pylist()]


def test_a_dry_run_moves_nothing_and_counts_the_flips(scoring: "Platform", tmp_path: Path) -> None:
    """The number it previews is the number that differs between the label files before and after."""
    before = {label["id"]: label for label in read_labels(scoring, score_all(scoring))}
    second = scoring.registry.resolve("itrp-text-task/2")
    assert second.mapping is not None
    register_variant(scoring, tmp_path, Task.TEXT, mapping=second.mapping[::-1])
    report = run_promotion(scoring, Task.TEXT, dry_run=True)
    assert not report.promoted
    assert champion(scoring, Task.TEXT) == "2"
    assert gate_tags(scoring, "itrp-text-task/3") == {}

    run_promotion(scoring, Task.TEXT, to="3")
    after = {label["id"]: label for label in read_labels(scoring, score_all(scoring))}
    names = ("text not represented", "text represented")
    flips = {
        each: (names[before[each]["text_is_represented"]], names[after[each]["text_is_represented"]])
        for each in before
        if before[each]["text_is_represented"] != after[each]["text_is_represented"]
    }
    assert report.preview is not None
    assert (report.preview.looked_at, report.preview.changed) == (30, len(flips))
    assert len(flips) > 20  # all but exact ties are the other way round
    assert len(report.preview.examples) == 5
    for example in report.preview.examples:
        assert (example["before"], example["after"]) == flips[example["id"]]
        assert 0 < len(example["text"]) <= 100


def test_the_same_weights_flip_nothing(scoring: "Platform", tmp_path: Path) -> None:
    score_all(scoring)
    second = scoring.registry.resolve("itrp-image-task/2")
    register_variant(scoring, tmp_path, Task.IMAGE, mapping=second.mapping)
    preview = run_promotion(scoring, Task.IMAGE, dry_run=True).preview
    assert preview is not None
    assert (preview.looked_at, preview.changed, preview.examples) == (30, 0, [])


def test_a_dry_run_before_any_scoring_has_nothing_to_look_at(platform: "Platform") -> None:
    preview = run_promotion(platform, Task.TEXT, dry_run=True).preview
    assert preview is not None
    assert (preview.looked_at, preview.changed) == (0, 0)
