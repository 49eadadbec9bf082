"""The two task models in MLflow's registry: versions, aliases, tags, and their files."""

import json
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from itrp.errors import UnmappedModelError, WrongUseError
from itrp.files import place_folder
from itrp.labels import Task
from serving.errors import NotFoundError, NotReadyError, UnavailableError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

MODEL_NAMES: dict[Task, str] = {Task.TEXT: "itrp-text-task", Task.IMAGE: "itrp-image-task"}
"""Registered models by task."""
CHAMPION = "champion"
"""Alias of the version that scores."""
CHALLENGER = "challenger"
"""Alias of the newest version."""

DRAFT_SECONDS = 24 * 3600
"""A download that has not ended after a day has been killed."""

MISSING_CODES = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""MLflow's answers about a version, and about an alias, that is not there."""

DATASET_TAG = "itrp.dataset"
"""The data set a version was trained on, by name."""
MAPPING_TAG = "itrp.mapping"
MODEL_TASK_TAG = "itrp.model_task"
"""The task a version's clusters are about: image-text where one model of four clusters answers both tasks."""
ROUND_TAG = "itrp.round"
SUPERVISED_TAG = "itrp.supervised"
"""On versions that were trained on human labels: their classes have their names, and their epoch is chosen."""
ALIGNED_TAG = "itrp.aligned"
"""On versions that learned from true against shuffled pairs: their outputs are the classes, where they are good enough."""
AREA_TAG = "itrp.gate_auc"
"""Area under the curve of true against shuffled held-out pairs of an aligned version."""
GATE_PREFIX = "itrp.gate."
"""Tags of the promotion gate's numbers."""
MAPPED_PREFIX = "itrp.mapped_"
"""Tags of who gave a version its class names, and how."""
SEEDS_PREFIX = "itrp.seeds."
"""Tags of how far a version agreed with the other seeds when it was trained."""
WARNING_PREFIX = "itrp.warning."
"""Tags of what is doubtful about a version, one each: `itrp.warning.<code>`, with `.round-<n>` where a round has done it."""
ONE_CLASS = "one-class"
"""The warning that all clusters of a version were given one name: of this mapping, and of no other version."""
SAME_ANSWERS = "same-answers"
"""The warning that is about a version and one of the other task, and so nothing a version has for ever."""


@dataclass(frozen=True)
class ModelVersion:
    """One immutable version of a task model."""

    name: str
    version: str
    task: Task
    run_id: str
    source: str
    mapping: tuple[int, ...] | None
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"

    @property
    def model_task(self) -> Task:
        """The task its clusters are about: its own, or image-text for one model registered under both names."""
        return Task(self.tags.get(MODEL_TASK_TAG, self.task))

    @property
    def named(self) -> bool:
        """Whether its outputs are the classes themselves: nobody had to choose which cluster is which."""
        return SUPERVISED_TAG in self.tags or (ALIGNED_TAG in self.tags and self.mapping == (0, 1))

    @property
    def short(self) -> str:
        """Name of the version in keys and on screens: its number."""
        return self.version


@dataclass(frozen=True)
class ModelPair:
    """The two versions a scoring run has pinned."""

    text: ModelVersion
    image: ModelVersion

    def __str__(self) -> str:
        return f"text {self.text.version}, image {self.image.version}"


class Registry:
    """MLflow's registry. `cache` is where model files are kept, one folder a version."""

    def __init__(self, uri: str, cache: Path) -> None:
        self.uri = uri
        self.cache = cache

    @property
    def client(self) -> "MlflowClient":
        """A client; MLflow is imported here and not before, it takes seconds."""
        return connect_mlflow(self.uri)

    def resolve(self, reference: str) -> ModelVersion:
        """`itrp-text-task@champion` or `itrp-text-task/3` as a version, now.

        Raises WrongUseError for another form, NotFoundError when nothing is registered so, and UnavailableError when the
        registry does not answer: an outage must not be taken for an empty registry.
        """
        name, version, alias = parse_reference(reference)
        from mlflow.exceptions import MlflowException

        try:
            found = (
                self.client.get_model_version(name, version)
                if version
                else self.client.get_model_version_by_alias(name, alias)
            )
        except MlflowException as error:
            if error.error_code not in MISSING_CODES and not self._is_unheard_of(error, name):
                raise UnavailableError(f"MLflow's registry failed: {error.message}; see `itrp doctor`") from None
            raise NotFoundError(f"no model is registered as {reference}: {self._known(name)}") from None
        return read_version(found)

    def find(self, task: Task, alias: str) -> ModelVersion | None:
        """The version an alias names, None when it names none."""
        try:
            return self.resolve(f"{MODEL_NAMES[task]}@{alias}")
        except NotFoundError:
            return None

    def champions(self) -> ModelPair:
        """The pair that scores. Raises NotReadyError, naming the next step, when a task has no champion."""
        found = {task: self.find(task, CHAMPION) for task in MODEL_NAMES}
        missing = [str(task) for task, version in found.items() if version is None]
        text, image = found[Task.TEXT], found[Task.IMAGE]
        if text is None or image is None:
            raise NotReadyError(
                f"no champion yet for the {' and the '.join(missing)} task: train a model, then `itrp promote`"
            )
        for version in (text, image):
            if version.mapping is None:
                raise UnmappedModelError(explain_unmapped(str(version), f"{version.name}/{version.version}"))
        return ModelPair(text, image)

    def versions(self, task: Task) -> list[ModelVersion]:
        """All versions of a task's model, newest first."""
        found = self.client.search_model_versions(f"name='{MODEL_NAMES[task]}'")
        return sorted((read_version(version) for version in found), key=lambda version: -int(version.version))

    def check(self) -> str:
        """That it answers. Raises whatever MLflow says where it does not."""
        self.client.search_experiments(max_results=1)
        return "answers"

    def place_of(self, version: ModelVersion) -> str:
        """The address of the folder with a version's files."""
        return str(self.client.get_model_version_download_uri(version.name, version.version))

    def set_alias(self, version: ModelVersion, alias: str) -> None:
        """Move an alias to a version."""
        self.client.set_registered_model_alias(version.name, alias, version.version)

    def tag(self, version: ModelVersion, tags: Mapping[str, object]) -> None:
        """Write tags on a version."""
        client = self.client
        for key, value in tags.items():
            client.set_model_version_tag(version.name, version.version, key, str(value))

    def folder_of(self, version: ModelVersion) -> Path:
        """Where a version's files are kept, whether they are there yet or not."""
        digest = sha256((self.uri + version.source).encode()).hexdigest()
        return self.cache / f"{version.name}-{version.version}-{digest[:12]}"

    def fetch(self, version: ModelVersion) -> Path:
        """The version's folder as `ItrpModel.save` wrote it, downloaded once.

        Raises UnavailableError when its files are not where the registry says.
        """
        folder = self.folder_of(version)
        if not folder.exists():
            # a name nobody else draws: containers that share this folder have the same process ids
            draft = folder.with_name(f"{folder.name}.{uuid4().hex}.draft")
            try:
                self._download(version, draft, folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            self._forget_drafts(folder)
        return folder

    def _download(self, version: ModelVersion, draft: Path, folder: Path) -> None:
        connect_mlflow(self.uri)  # MLflow's module functions ask the registry that was named last
        from mlflow.artifacts import download_artifacts

        draft.mkdir(parents=True)
        found = download_artifacts(artifact_uri=f"models:/{version.name}/{version.version}", dst_path=str(draft))
        model = next(Path(found).glob("artifacts/*/model.json"), None)
        if model is None:
            place = self.client.get_model_version_download_uri(version.name, version.version)
            raise UnavailableError(explain_missing_files(version, place))
        try:
            place_folder(model.parent, folder)
        except OSError:  # another process was quicker
            if not folder.exists():
                raise

    @staticmethod
    def _forget_drafts(folder: Path) -> None:
        """Remove what downloads of this version that were killed left behind; one under way is younger than a day."""
        for draft in folder.parent.glob(f"{folder.name}.*.draft"):
            with suppress(FileNotFoundError):
                if time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                    shutil.rmtree(draft, ignore_errors=True)

    def _is_unheard_of(self, error: "MlflowException", name: str) -> bool:
        """Whether there is no such model: asked by an account that is no administrator's, MLflow answers that it may not look."""
        return error.error_code == "PERMISSION_DENIED" and not self.client.search_registered_models(f"name='{name}'")

    def _known(self, name: str) -> str:
        found = self.client.search_model_versions(f"name='{name}'")
        if not found:
            return f"{name} has no version yet; `itrp train` registers one"
        newest = max(int(version.version) for version in found)
        return f"{name} has the versions 1 to {newest}; write {name}/{newest}, {name}@challenger or {name}@champion"


def connect_mlflow(uri: str) -> "MlflowClient":
    """A client for a tracking and registry address; also makes it the one MLflow's module functions use."""
    import mlflow
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

    if mlflow.get_tracking_uri() != uri:
        # it remembers places by run and model id alone, which a copy of a work folder has too
        _artifact_repos_cache.clear()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def parse_reference(reference: str) -> tuple[str, str, str]:
    """(name, version, alias) of `NAME@ALIAS` or `NAME/VERSION`; one of the last two is empty. Raises WrongUseError."""
    name, at, alias = reference.partition("@")
    if at and alias:
        version = ""
    else:
        name, _, version = reference.partition("/")
    if name not in MODEL_NAMES.values() or not (alias or version.isdigit()):
        raise WrongUseError(
            f"expected a model such as {MODEL_NAMES[Task.TEXT]}@challenger or {MODEL_NAMES[Task.IMAGE]}/3, found {reference!r}"
        )
    return name, version, alias


def explain_missing_files(version: ModelVersion, place: str) -> str:
    """What an error says of a version whose files are not at the place that the registry names."""
    return (
        f"the files of {version} are missing: expected them at {place}; bring them back (a moved work folder, a backup), or "
        "train again"
    )


def explain_unmapped(what: str, reference: str = "MODEL@challenger") -> str:
    """The sentence a person needs when a model's clusters have no class names."""
    return (
        f"{what} knows clusters but not yet which class each one is; name them with human labels: "
        f"itrp evaluate {reference} --data NAME, where NAME is a data set ingested with `itrp ingest itr`; without any: "
        f"itrp name {reference} shows tweets of each cluster"
    )


def origin_tags(version: ModelVersion) -> dict[str, str]:
    """The tags that tell where a version comes from; what was found out about it (mapping and by whom, gate, seeds) is its own.

    The warnings of its training come along: they are about the rounds.
    """
    own = (MAPPING_TAG, ROUND_TAG, MODEL_TASK_TAG)
    found_out = (MAPPED_PREFIX, GATE_PREFIX, SEEDS_PREFIX, WARNING_PREFIX + SAME_ANSWERS, WARNING_PREFIX + ONE_CLASS)
    return {key: value for key, value in version.tags.items() if key not in own and not key.startswith(found_out)}


def read_version(found: Any) -> ModelVersion:
    """A version as MLflow tells of it: name, version, run_id, source, tags."""
    tags = dict(found.tags)
    mapping = json.loads(tags.get(MAPPING_TAG, "null"))
    task = next(task for task, name in MODEL_NAMES.items() if name == found.name)
    return ModelVersion(
        name=found.name,
        version=str(found.version),
        task=task,
        run_id=found.run_id,
        source=found.source,
        mapping=tuple(mapping) if mapping is not None else None,
        tags=tags,
    )
