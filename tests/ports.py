"""Ports of 127.0.0.1 that nobody listens at, for servers that tests start."""

import random

from infra.stack.ports import Ports, is_free

GRPC_OFFSET = 10_000
"""SeaweedFS puts a second port so much higher than each of its own."""


def free_ports(count: int) -> list[int]:
    """Free ports that are free 10,000 higher too, in ascending order."""
    chosen: set[int] = set()
    while len(chosen) < count:
        port = random.randrange(20_000, 30_000)
        if is_free(port) and is_free(port + GRPC_OFFSET):
            chosen.add(port)
    return sorted(chosen)


def choose_ports() -> Ports:
    """Ports that nobody listens at."""
    postgres, objects, master, volume, filer, admin, mlflow, prefect, bridge, review = free_ports(10)
    return Ports(postgres, objects, (master, volume, filer, admin), mlflow, prefect, bridge, review)
