"""Our Prefect plugin: `prefect deployment run score-tweets` finds a deployment by its name alone.

Prefect itself (3.8.8, 3.9.1) wants FLOW/DEPLOYMENT there and ends with a traceback where the slash is missing. With this
plugin a name without a slash is looked up among all deployments: one of that name is run, several or none end with
status 1 and the list of what there is. Names with a slash, `--id`, and every other command are Prefect's own.

Prefect loads plugins (entry points `prefect.plugins`) only where its setting `plugins.enabled` is on. It looks, in this
order, at `PREFECT_PLUGINS_ENABLED` in the environment, then in `.env`, `prefect.toml` and `pyproject.toml` of the working
directory (never of a folder above it), then at the active profile. So the command works

- in the checkout: its pyproject.toml holds `[tool.prefect.plugins] enabled = true`;
- in every other folder, after `prefect config set PREFECT_PLUGINS_ENABLED=true` (one line in the person's own profile,
  which `prefect config unset` takes out again), or with `PREFECT_PLUGINS_ENABLED=true` in the environment (containers).

A package cannot turn the setting on by being installed, and this one does not try to. Elsewhere FLOW/DEPLOYMENT works.
"""

import inspect
import logging
import sys
from collections.abc import Callable, Coroutine
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from prefect.plugins import register_hook

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.plugins import HookContext

    Finder = Callable[[PrefectClient, str | None, str | None], Coroutine[Any, Any, DeploymentResponse]]

LISTED = 20
"""Candidates that an error names."""


@register_hook
def setup_environment(*, ctx: "HookContext") -> None:
    """Called by Prefect in every process that imports it: workers, the server and other commands leave at once."""
    if _runs_a_deployment(sys.argv[1:]):
        _extend_the_command(ctx.logger_factory("prefect.plugins.itrp"))


def _runs_a_deployment(arguments: list[str]) -> bool:
    """Whether this is `prefect … deployment … run …` (Prefect also calls it deployments). What only looks like it costs
    an import, and changes nothing.
    """
    return "run" in arguments and not {"deployment", "deployments"}.isdisjoint(arguments)


def _extend_the_command(logger: logging.Logger) -> None:
    """Put our look-up before Prefect's, where Prefect is as we know it."""
    try:
        from prefect.cli import deployment as command
    except ImportError as error:
        logger.debug("no bare deployment names: prefect.cli.deployment does not import: %s", error)
        return
    finder = getattr(command, "_get_deployment", None)
    if not inspect.iscoroutinefunction(finder) or [*inspect.signature(finder).parameters] != [
        "client", "name", "deployment_id",
    ]:  # fmt: skip
        logger.debug("no bare deployment names: this version of Prefect finds deployments in another way")
        return
    command._get_deployment = _find_bare_names_too(finder)


def _find_bare_names_too(finder: "Finder") -> Any:
    async def find(client: "PrefectClient", name: str | None, deployment_id: str | None) -> "DeploymentResponse":
        if name is None or deployment_id is not None or "/" in name:
            return await finder(client, name, deployment_id)
        return await finder(client, await _complete_name(client, name), None)

    return find


async def _complete_name(client: "PrefectClient", name: str) -> str:
    """FLOW/NAME of the only deployment called NAME; otherwise the command ends here, with status 1."""
    from prefect.cli._utilities import exit_with_error
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName

    named = DeploymentFilter(name=DeploymentFilterName(any_=[name]))
    found = await _list_full_names(client, deployment_filter=named)
    if not found:
        nearest = _describe_nearest(name, await _list_full_names(client))
        exit_with_error(f"No deployment is called {name!r}; {nearest}", soft_wrap=True, markup=False)
    if len(found) > 1:
        message = f"{len(found)} deployments are called {name!r}; name one: {', '.join(found)}"
        exit_with_error(message, soft_wrap=True, markup=False)
    return found[0]


async def _list_full_names(client: "PrefectClient", **filters: Any) -> list[str]:
    """FLOW/DEPLOYMENT of the deployments in the server's first page (200)."""
    from prefect.client.schemas.filters import FlowFilter, FlowFilterId

    deployments = await client.read_deployments(**filters)
    ids = sorted({each.flow_id for each in deployments})
    flows = await client.read_flows(flow_filter=FlowFilter(id=FlowFilterId(any_=ids))) if ids else []
    names = {flow.id: flow.name for flow in flows}
    return sorted(f"{names[each.flow_id]}/{each.name}" for each in deployments)


def _describe_nearest(name: str, candidates: list[str]) -> str:
    if not candidates:
        return "there are no deployments yet: `itrp deploy` creates ours"
    nearest = sorted(candidates, key=lambda each: -SequenceMatcher(None, name, each).ratio())
    more = f" and {len(nearest) - LISTED} more (prefect deployment ls)" if len(nearest) > LISTED else ""
    return f"there are: {', '.join(nearest[:LISTED])}{more}"
