"""A health check of Prefect's background services, which have no page: their docket has heard of this container just now.

The scheduler, late runs, automations' timers and the clean-up all run as tasks of that docket, in the one process that
sends these heartbeats (every two seconds). The name and address are those of `prefect server services start`.
"""

import asyncio
import socket
import sys

from docket import Docket
from prefect.settings import get_current_settings

NAME = "prefect"


async def are_alive() -> bool:
    """Has a worker of this machine reported within the last ten seconds?"""
    async with Docket(name=NAME, url=get_current_settings().server.docket.url) as docket:
        return any(worker.name.startswith(f"{socket.gethostname()}#") for worker in await docket.workers())


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(are_alive()) else 1)
