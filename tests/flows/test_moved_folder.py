"""A work folder that was moved or copied: its models score there, and nothing of it is written anywhere else."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings import Settings

if TYPE_CHECKING:
    from flows.platform import Platform


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def copy_file(source: str, target: str) -> None:
    """As `cp -r`, with a new time; only the weights of models are linked."""
    (os.link if source.endswith(".safetensors") else shutil.copyfile)(source, target)


def land(platform: "Platform", folder: Path) -> None:
    """One new batch."""
    from itrp.datasets.synthetic import write_landing_layout

    write_landing_layout(folder, 20, 77)
    for path in sorted(folder.rglob("*"), key=lambda path: path.suffix == ".jsonl"):
        if path.is_file() and path.suffix != ".csv":
            platform.store.put(f"landing/later/{path.relative_to(folder).as_posix()}", path)


def open_at(folder: Path) -> "Platform":
    from flows.platform import open_platform

    return open_platform(Settings(work_dir=folder, device="cpu", precision="fp32"))


def score(platform: "Platform") -> int:
    """Tweets of a new batch that were labelled by one night's work."""
    from flows.jobs.ingestion import ingest_landing
    from tests.scoring import find_work, pin_scorer

    report = ingest_landing(platform.store, platform.catalog)
    assert (report.lines, report.duplicates) == (20, 0)
    scorer = pin_scorer(platform)
    return sum(row.pairs for row in scorer.score_all(find_work(platform.catalog, scorer.pair, backfill=False)))


def test_a_copy_beside_its_original(scoring: "Platform", tmp_path: Path) -> None:
    from flows.jobs.training import run_training
    from tests.conftest import QUICKLY

    original = scoring.settings.work_dir
    folder = Path(shutil.copytree(original, tmp_path / "the copy (2)", copy_function=copy_file))
    shutil.rmtree(folder / "cache")  # models come from the artifacts, not from what was fetched before
    before = snapshot(original)
    copy = open_at(folder)
    land(copy, tmp_path / "drawn")
    assert score(copy) >= 20
    report = run_training(copy, "small-text", "unlabelled", [*QUICKLY, "seed=4"])
    assert copy.registry.fetch(copy.registry.resolve(f"itrp-text-task/{report.version}")).is_relative_to(folder)
    assert (folder / "mlflow-artifacts" / report.run_id).is_dir()
    assert snapshot(original) == before
    assert len(scoring.registry.versions(copy.registry.resolve("itrp-text-task@challenger").task)) == 2


def test_a_folder_that_was_moved(scoring: "Platform", tmp_path: Path, trained: "Platform") -> None:
    scoring.catalog.dispose()
    folder = scoring.settings.work_dir.rename(tmp_path / "elsewhere")
    shutil.rmtree(folder / "cache/models")
    moved = open_at(folder)
    land(moved, tmp_path / "drawn")
    assert score(moved) >= 20
    assert not scoring.settings.work_dir.exists()
    assert trained.settings.work_dir.exists()
