"""Platforms to measure: a work folder whose champions are small models that nobody has trained."""

import tempfile
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file

from flows.platform import Platform, open_platform
from infra.settings import Settings
from itrp.config import ExperimentConfig, override
from itrp.experiments import small_image, small_text
from itrp.labels import Task
from itrp.models.itrp_model import build_model
from serving.registration import register_model
from serving.registry import CHAMPION, connect_mlflow
from tests.benchmarks.landing import WORDS
from tests.itrp.conftest import IMAGE_NAME, SPECIAL_TOKENS, save_bert, save_wordpiece


def tiny_config(folder: Path, task: Task, *assignments: str) -> ExperimentConfig:
    """The task's small experiment with encoders of some thousand weights: what is measured is everything but them.

    The encoders are written into `folder` at the first call.
    """
    text, image = folder / "tiny-text", folder / "tiny-image.safetensors"
    if not text.exists():
        vocabulary = {word: number for number, word in enumerate((*SPECIAL_TOKENS, *WORDS, "#"))}
        save_wordpiece(text, vocabulary)
        save_bert(text, len(vocabulary), width=32, layers=2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            save_file(torchvision.models.get_model(IMAGE_NAME).state_dict(), image)
    parts = [f"text.name={text}", f"image.name={IMAGE_NAME}", f"image.weights={image}", "image.size=64"]
    return override(small_text() if task is Task.TEXT else small_image(), [*parts, *assignments])


def make_platform(work: Path) -> Platform:
    """A new platform in a folder; tiny models that nobody has trained are its champions, with class names."""
    platform = open_platform(Settings(work_dir=work, device="cpu"))
    client = connect_mlflow(platform.registry.uri)
    experiment = client.create_experiment("benchmark", artifact_location=(work / "mlflow-artifacts").as_uri())
    for task in (Task.TEXT, Task.IMAGE):
        with tempfile.TemporaryDirectory() as folder:
            model = build_model(tiny_config(Path(folder), task))
            model.save(Path(folder) / "model", mapping=(0, 1), extra={"round": 1})
            run_id = client.create_run(experiment).info.run_id
            version = register_model(platform.registry, Path(folder) / "model", run_id, task, tags={})
        client.set_terminated(run_id)
        platform.registry.set_alias(version, CHAMPION)
    return platform
