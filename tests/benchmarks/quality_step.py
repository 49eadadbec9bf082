"""One step of a quality measurement, in a process of its own, so that its processor time and its memory are its own.

What is counted begins when the libraries are imported and the databases open, and includes child processes.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.platform import Platform, open_platform
from flows.runtime.orchestration import prepare_environment
from infra.settings import Settings
from itrp.files import write_atomically
from tests.benchmarks.quality_sets import LABELLED_NAME, SETS
from tests.benchmarks.scaled_run import read_status

Found = dict[str, Any]
COLD, WARM = "cold", "warm"
EARLIER_CACHE = "cache-of-training"
"""Folder that a cold scoring puts the cache aside to."""


def run_step(step: str, work: Path, *arguments: str) -> Found:
    """Run a step in a new process on the platform in `work`; what it found."""
    result = work.with_name(f"{work.name}.{step}.json")
    command = [sys.executable, "-m", "tests.benchmarks.quality_step", step, str(work), str(result), *arguments]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        print(done.stderr[-4000:], file=sys.stderr)
    done.check_returncode()
    found: Found = json.loads(result.read_text(encoding="utf-8"))
    result.unlink()
    return found


@contextmanager
def spent(found: Found) -> Iterator[None]:
    """Put `cpu_seconds` and `peak_mib` of the block, children's time included, into `found`."""
    before = _cpu_seconds()
    yield
    found |= {"cpu_seconds": _cpu_seconds() - before, "peak_mib": read_status("VmHWM")}


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def prepare(platform: Platform, set_name: str, data: str) -> Found:
    """Both data sets, ingested; the labels of the test split by task, and what its train split's majority is."""
    from itrp.data.annotations import select_set
    from itrp.labels import UNLABELLED
    from serving.assessment import load_labelled_set

    chosen = next(each for each in SETS if each.name == set_name)
    chosen.ingest(platform, Path(data), platform.settings.work_dir / "drawn")
    labelled = load_labelled_set(platform.store, platform.catalog, LABELLED_NAME, platform.settings.cache_dir)
    annotations = labelled.annotations
    tasks = {}
    for task in chosen.tasks:
        rows, labels = select_set(annotations, task, "raw")
        dev = annotations.labels(task)[labelled.dev_rows]
        dev = dev[dev != UNLABELLED]
        tasks[str(task)] = {
            "ids": annotations.ids[rows].tolist(),
            "labels": labels.tolist(),
            "ratings": annotations.rating[rows].tolist() if annotations.is_rated else None,
            "majority": int(2 * dev.sum() >= len(dev)),
            "dev": len(dev),
        }
    return {"pairs": len(annotations), "tasks": tasks}


def train(platform: Platform, task: str, experiment: str, data: str, *overrides: str) -> Found:
    """A new version of a task's model."""
    import sklearn.cluster
    import sklearn.mixture  # noqa: F401  # imported before the clock starts

    from flows.jobs.training import run_training
    from serving.registry import AREA_TAG

    found: Found = {}
    with spent(found):
        report = run_training(platform, experiment, data, overrides)
    name = next(name for name in report.models if name.startswith(f"itrp-{task}-task/"))
    version = platform.registry.resolve(name)
    return found | {"model": name, "named": version.mapping is not None, "gate": version.tags.get(AREA_TAG)}


def name(platform: Platform, model: str) -> Found:
    """Class names by all labels of the train split, as a new version."""
    from flows.jobs.evaluation import run_evaluation

    return {"model": run_evaluation(platform, [model], LABELLED_NAME, protocol="dev").models[0]}


def score(platform: Platform, model: str, cache: str) -> Found:
    """Labels and probabilities of all labelled pairs by id. `cache`: cold, then what earlier steps kept is put aside; or warm."""
    import pandas as pd

    from flows.jobs.prediction import run_prediction

    if cache == COLD:
        platform.settings.cache_dir.rename(platform.settings.work_dir / EARLIER_CACHE)
    out = platform.settings.work_dir / "predictions.parquet"
    found: Found = {}
    with spent(found):
        report = run_prediction(platform, model, LABELLED_NAME, out, overwrite=True)
    rows = pd.read_parquet(out).dropna(subset="label")
    predictions = {
        str(id_): (int(label), float(probability))
        for id_, label, probability in zip(rows["id"], rows["label"], rows["probability"], strict=True)
    }
    return found | {"pairs": report.pairs, "predictions": predictions}


def run_all(platform: Platform, task: str, experiment: str, data: str, *overrides: str) -> Found:
    """The three steps in one process, which imports the libraries once: for runs whose cost is not asked for."""
    trained = train(platform, task, experiment, data, *overrides)
    named = trained if trained["named"] else name(platform, trained["model"])
    return {"trained": trained, "scored": score(platform, named["model"], WARM)}


STEPS = {"prepare": prepare, "train": train, "name": name, "score": score, "all": run_all}


def main(arguments: Sequence[str] | None = None) -> None:
    """The child: writes one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=[*STEPS])
    parser.add_argument("work", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("arguments", nargs="*")
    args = parser.parse_args(arguments)
    for variable in [each for each in os.environ if each.startswith(("ITRP_", "PREFECT_", "MLFLOW_"))]:
        del os.environ[variable]
    settings = Settings(work_dir=args.work, device="cpu", precision="fp32")
    prepare_environment(settings)
    platform = open_platform(settings)
    platform.registry.client.search_experiments()  # creates MLflow's tables where there are none
    found = STEPS[args.step](platform, *args.arguments)
    with write_atomically(args.result) as draft:
        draft.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
