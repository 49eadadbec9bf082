"""What a run leaves on its Prefect page beside tables: progress, links to MLflow, a gallery of labelled tweets."""

import time
from collections.abc import Sequence
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from flows.platform import Platform
from infra.catalog.tables import LabelFile, Shard
from infra.settings import Settings
from serving.registry import ModelVersion

PROGRESS_SECONDS = 5.0
"""At least so long lies between two updates of a progress artifact."""


class ProgressArtifact:
    """A bar on the run's page. Called with (steps done, steps in all)."""

    def __init__(self, key: str, description: str) -> None:
        self._artifact = cast(UUID, create_progress_artifact(0.0, key=key, description=description))
        self._description = description
        self._shown = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Show it, if the last time is long enough ago or all is done."""
        if done < total and time.monotonic() - self._shown < PROGRESS_SECONDS:
            return
        self._shown = time.monotonic()
        description = f"{self._description}: {done} of {total}"
        update_progress_artifact(self._artifact, 100.0 * done / max(total, 1), description=description)


def rename_run(name: str) -> None:
    """Give this flow run a name that says more than was known when it began. Outside of a flow run nothing happens."""
    if flow_run.id:
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(str(flow_run.id)), name=name)


def link_run(settings: Settings, run_id: str, experiment_id: str) -> None:
    """A link to an MLflow run's page; none where MLflow has no pages (embedded)."""
    page = settings.mlflow_pages
    if page:
        create_link_artifact(
            f"{page}/#/experiments/{experiment_id}/runs/{run_id}", f"MLflow run {run_id[:8]}", "mlflow-run"
        )


def link_version(settings: Settings, version: ModelVersion) -> None:
    """A link to a registered version's page; none where MLflow has no pages (embedded)."""
    page = settings.mlflow_pages
    if page:
        key = f"model-{version.task}"
        create_link_artifact(f"{page}/#/models/{version.name}/versions/{version.version}", str(version), key)


def show_gallery(platform: Platform, labelled: Sequence[tuple[Shard, LabelFile]]) -> None:
    """An image of a few labelled tweets of each relation; none when nothing was labelled."""
    if not labelled:
        return
    # imported late: drawing takes a second to import, and most hourly runs have nothing to show
    from flows.jobs.gallery import draw_gallery, pick_tweets

    tweets = pick_tweets(platform.store, platform.settings.cache_dir, labelled)
    if tweets:
        create_image_artifact(draw_gallery(tweets), key="labelled-tweets", description="a few tweets of each relation")
