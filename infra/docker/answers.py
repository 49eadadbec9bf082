"""`answers.py ADDRESS`: a health check. Status 0 when the page answers with 200, or when tcp://host:port can be reached."""

import socket
import sys
from urllib.parse import urlsplit
from urllib.request import urlopen

SECONDS = 5


def answers(address: str) -> bool:
    """Does somebody answer there within five seconds?"""
    parts = urlsplit(address)
    try:
        if parts.scheme == "tcp":
            socket.create_connection((str(parts.hostname), int(parts.port or 0)), SECONDS).close()
            return True
        with urlopen(address, timeout=SECONDS) as response:
            return bool(response.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1]) else 1)
