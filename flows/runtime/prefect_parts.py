"""What `itrp doctor` says of Prefect: whether its server answers, and whether anything is scheduled on it."""

from collections.abc import Callable, Mapping

from flows.jobs.doctor import Note
from flows.runtime.server_address import find_server
from serving.errors import UnavailableError


def check_server() -> str:
    """The server that is configured. Raises UnavailableError when it does not answer."""
    url = find_server()
    if not url:
        return "none (no PREFECT_API_URL set): commands work without it, itrp demo starts one"
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()
    if error is not None:
        raise UnavailableError(
            f"no Prefect server answers at {url}: {str(error)[:200]}; start it, or correct or unset PREFECT_API_URL"
        )
    return f"server {url} answers"


def describe_schedules() -> str:
    """When the next run is due. Raises UnavailableError where deployments are there and none is."""
    if not find_server():
        return "none (no PREFECT_API_URL set)"
    from flows.runtime.shift import describe_shift

    return describe_shift() or Note("no deployment is on the Prefect server, so nothing runs by itself: itrp deploy")


PREFECT_PARTS: Mapping[str, Callable[[], str]] = {"prefect": check_server, "schedules": describe_schedules}
"""For `flows.jobs.doctor.examine`, which knows no orchestrator."""
