"""The ports of the stack's servers on 127.0.0.1."""

import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Ports:
    """Where each server listens."""

    postgres: int = 5433
    objects: int = 9000
    weed: tuple[int, int, int, int] = (9333, 9340, 8888, 9345)
    """SeaweedFS's own parts: master, volume, filer, admin."""
    mlflow: int = 5000
    prefect: int = 4200
    bridge: int = 4300
    review: int = 4400

    def taken(self) -> list[int]:
        """Those that something else listens at already."""
        mine = (self.postgres, self.objects, *self.weed, self.mlflow, self.prefect, self.bridge, self.review)
        return [port for port in mine if not is_free(port)]


def is_free(port: int) -> bool:
    """Can a server listen at this port of 127.0.0.1?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
