"""Opening the platform as the first task of a flow."""

from flows.io_task import io_task
from flows.platform import Platform, open_platform


@io_task("open-platform", "open the platform")
def open_platform_task() -> Platform:
    """Settings read, catalog brought up to date."""
    return open_platform()
