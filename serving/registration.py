"""Putting a saved model into the registry: pyfunc from code, safetensors, a signature and an example."""

import base64
import io
import json
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from itrp.inference.prediction import VectorModel
from itrp.labels import RELATIONS, Task
from itrp.models.encoder_pair import read_description
from itrp.systems import is_aligned, is_dual_aligned, is_labelled_head
from serving.predictor import class_vocabulary
from serving.registry import (
    CHALLENGER,
    MAPPED_PREFIX,
    MAPPING_TAG,
    MODEL_NAMES,
    MODEL_TASK_TAG,
    ROUND_TAG,
    ModelVersion,
    Registry,
    connect_mlflow,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

REQUIREMENTS = ("itrp", "torch", "torchvision", "transformers", "safetensors", "numpy", "pandas", "pillow", "mlflow")
"""Packages whose versions a registered model names."""
OWN_FIELDS = ("config", "mapping")
"""What a model's `save` writes into a description by itself."""
MODEL_CONFIG = {"string_paths": True}
"""What whoever loads a model may change: `load_model(..., model_config={"string_paths": False})` reads no path from text."""


def register_model(
    registry: Registry, folder: Path, run_id: str, task: Task, *, tags: Mapping[str, Any]
) -> ModelVersion:
    """Register the model saved in `folder` as the newest version of its task and give it the alias `challenger`."""
    client = connect_mlflow(registry.uri)
    import mlflow

    description = read_description(folder)
    with warnings.catch_warnings(), mlflow.start_run(run_id=run_id):
        warnings.simplefilter("ignore")  # MLflow asks for type hints that cannot say "text and image columns"
        info = mlflow.pyfunc.log_model(
            name=f"{task}-round-{description['round']}{'-mapped' if description['mapping'] is not None else ''}",
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={"model": str(folder)},
            signature=build_signature(),
            model_config=MODEL_CONFIG,
            pip_requirements=[f"{package}=={installed_version(package)}" for package in REQUIREMENTS],
            metadata={**describe_answers(task), "relations": RELATIONS, **dict(tags)},
            # an unmapped model refuses to predict, so MLflow's trial run of the example would fail
            input_example=_example() if description["mapping"] is not None else None,
        )
    found = mlflow.register_model(
        info.model_uri, MODEL_NAMES[task], tags={key: str(value) for key, value in tags.items()}
    )
    client.set_model_version_tag(found.name, found.version, MAPPING_TAG, json.dumps(description["mapping"]))
    client.set_model_version_tag(found.name, found.version, ROUND_TAG, str(description["round"]))
    client.set_model_version_tag(found.name, found.version, MODEL_TASK_TAG, _model_task(description))
    _describe(client, found, task, description)
    registered = registry.resolve(f"{found.name}/{found.version}")
    registry.set_alias(registered, CHALLENGER)
    return registered


def register_named(
    registry: Registry,
    version: ModelVersion,
    model: VectorModel,
    mapping: Sequence[int],
    number: int,
    *,
    tags: Mapping[str, Any],
    scratch: Path,
) -> ModelVersion:
    """Register `version`'s model with class names: a new version of the same run, and the challenger.

    model: with the weights of round `number`. mapping: cluster -> class of the task that the version answers
    (`map_half`). tags: where it comes from and who named it. scratch: an existing folder for what is on its way.
    """
    kept = {name: value for name, value in read_description(registry.fetch(version)).items() if name not in OWN_FIELDS}
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        saved = Path(folder) / "model"
        model.save(saved, mapping=mapping, extra={**kept, "round": number})
        told = {**tags, f"{MAPPED_PREFIX}from": version.version}
        return register_model(registry, saved, version.run_id, version.task, tags=told)


def map_half(version: ModelVersion, mapping: Sequence[int]) -> tuple[int, ...]:
    """Cluster -> class of the version's own task: of the relations 2*T + I of four clusters one half predicts T, the other I."""
    if version.model_task is not Task.IMAGE_TEXT:
        return tuple(mapping)
    return tuple(index // 2 if version.task is Task.TEXT else index % 2 for index in mapping)


def _describe(client: "MlflowClient", found: Any, task: Task, description: Mapping[str, Any]) -> None:
    """What MLflow's pages say of the version, and of the model where nobody has written anything."""
    client.update_model_version(found.name, found.version, describe_version(description, task))
    if not client.get_registered_model(found.name).description:
        question = class_vocabulary(task)["1"]
        client.update_registered_model(
            found.name, f"ITRp's {task} task: {question}? The alias champion scores, challenger is the newest version."
        )


def describe_version(description: Mapping[str, Any], task: Task) -> str:
    """A saved model in one sentence: the round, and which cluster is which class of the task it is registered for."""
    if is_dual_aligned(description) and description["mapping"] is None:
        return (
            "A dual encoder that tells true from shuffled pairs too badly for class names (the tag itrp.gate_auc): take another "
            "one, or name it by labels with `itrp evaluate`."
        )
    if is_dual_aligned(description) and description["mapping"] == [0, 1]:
        return "A dual encoder's similarity against that of chance pairs, without labels; its outputs are the classes."
    if is_aligned(description) and description["mapping"] is None:
        return (
            "Learned from true against shuffled pairs, which it tells apart too badly for class names (the tag itrp.gate_auc): "
            "train on more tweets, or name it by labels with `itrp evaluate`."
        )
    if description["mapping"] is None:
        return (
            f"Round {description['round']}; its clusters have no class names yet: `itrp evaluate` or `itrp name` gives "
            "them; until then it labels nothing."
        )
    if is_aligned(description) and description["mapping"] == [0, 1]:
        return "Learned from true against shuffled pairs without labels; its outputs are the classes."
    if is_labelled_head(description):
        return "A small head on frozen encoders that has learned from a few human labels; its outputs are the classes."
    if "answers" in description:
        return f"Epoch {description['round']}; trained on human labels, its outputs are the classes."
    names = class_vocabulary(task)
    told = ", ".join(f"cluster {number} is '{names[str(name)]}'" for number, name in enumerate(description["mapping"]))
    return f"Round {description['round']}; {told}."


def _model_task(description: Mapping[str, Any]) -> str:
    """What the saved model's outputs are about: one that was taught labels says it, an ITRp one's configuration does."""
    return str(description.get("answers") or description["config"]["task"])


def build_signature() -> Any:
    """What the model answers. Its inputs are judged row by row by our own checks: serving.model_input says why."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    return ModelSignature(
        outputs=Schema(
            [
                ColSpec("long", "label", required=False),
                ColSpec("double", "probability", required=False),
                ColSpec("string", "reason", required=False),
            ]
        )
    )


def describe_answers(task: Task) -> dict[str, Any]:
    """What a registered model's metadata says of its columns: what goes in, what comes out, and which class is which."""
    from serving.model_input import COLUMNS

    names = class_vocabulary(task)
    return {
        "task": str(task),
        "classes": names,
        "inputs": dict(COLUMNS),
        "outputs": {
            "label": f"0: {names['0']}; 1: {names['1']}; empty where the row cannot be used",
            "probability": f"of class 1 ({names['1']}), whatever the label is, as in label files",
            "reason": "why the row cannot be used; empty where it can",
        },
    }


def _example() -> Any:
    """One made-up pair, as it is sent over HTTP: a plain blue image in base64 and a sentence of ours."""
    import pandas as pd

    image = io.BytesIO()
    Image.new("RGB", (64, 48), (60, 110, 200)).save(image, "PNG")
    written = base64.b64encode(image.getvalue()).decode()
    return pd.DataFrame({"text": ["nothing but blue sky today"], "image": [written]})
