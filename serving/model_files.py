"""Do a registered version's files lie where the registry says? Asked without downloading them."""

from itrp.errors import StoreError
from serving.registry import MISSING_CODES, ModelVersion, Registry


def find_missing_files(registry: Registry, version: ModelVersion) -> str | None:
    """The place where files of a version are expected and not found; None where all are there.

    Raises StoreError when the artifacts' store does not answer.
    """
    from mlflow.artifacts import list_artifacts
    from mlflow.exceptions import MlflowException

    from itrp.models.itrp_model import MODEL_FILE, WEIGHTS_FILE

    place = registry.client.get_model_version_download_uri(version.name, version.version)
    address = f"models:/{version.name}/{version.version}/artifacts"
    try:
        folders = [found.path.rpartition("/")[2] for found in list_artifacts(artifact_uri=address) if found.is_dir]
        names = {
            found.path.rpartition("/")[2]
            for folder in folders
            for found in list_artifacts(artifact_uri=f"{address}/{folder}")
        }
    except MlflowException as error:
        if error.error_code not in MISSING_CODES:
            raise StoreError(f"MLflow's artifacts at {place} cannot be listed: {error.message}") from None
        names = set()
    return None if {MODEL_FILE, WEIGHTS_FILE} <= names else place
