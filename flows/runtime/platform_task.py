"""Opening the platform as the first task of a flow."""

from flows.platform import Platform, open_platform
from flows.runtime.io_task import io_task
from flows.runtime.orchestration import configure_worker_logging, prepare_environment, started_by_worker
from infra.settings import load_settings
from infra.work_folder import keep_private


@io_task("open-platform", "open the platform")
def open_platform_task() -> Platform:
    """Settings read, catalog brought up to date; under a worker, MLflow is told not to chat before it is imported."""
    settings = load_settings()
    prepare_environment(settings)
    if started_by_worker():
        configure_worker_logging(settings)
        keep_private(settings)
    return open_platform(settings)
