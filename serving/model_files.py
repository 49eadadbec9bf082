"""Do a registered version's files lie where the registry says? Asked without downloading them."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from serving.errors import UnavailableError
from serving.registry import MISSING_CODES, ModelVersion, Registry

NEEDED = {"model.json", "weights.safetensors"}
"""What `itrp.models.itrp_model` names MODEL_FILE and WEIGHTS_FILE; importing it would take torch's seconds."""


def find_missing_files(registry: Registry, version: ModelVersion) -> str | None:
    """The place where files of a version are expected and not found; None where all are there.

    Raises UnavailableError when the artifacts' store does not answer.
    """
    place = registry.place_of(version)
    names = _list_folder(place) if place.startswith("file:") else _list_artifacts(version, place)
    return None if names >= NEEDED else place


def _list_folder(place: str) -> set[str]:
    """Names of files two folders deep in a folder of this machine: no MLflow is asked, which takes seconds to import."""
    return {path.name for path in (Path(unquote(urlsplit(place).path)) / "artifacts").glob("*/*")}


def _list_artifacts(version: ModelVersion, place: str) -> set[str]:
    from mlflow.artifacts import list_artifacts
    from mlflow.exceptions import MlflowException

    address = f"models:/{version.name}/{version.version}/artifacts"
    try:
        folders = [found.path.rpartition("/")[2] for found in list_artifacts(artifact_uri=address) if found.is_dir]
        return {
            found.path.rpartition("/")[2]
            for folder in folders
            for found in list_artifacts(artifact_uri=f"{address}/{folder}")
        }
    except MlflowException as error:
        if error.error_code not in MISSING_CODES:
            raise UnavailableError(f"MLflow's artifacts at {place} cannot be listed: {error.message}") from None
        return set()
