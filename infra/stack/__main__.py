"""`python -m infra.stack`: start the stack, say where it is, stop it on Ctrl-C."""

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from infra.errors import InfraError
from infra.logs import configure_logging
from infra.stack.ports import Ports
from infra.stack.stack import Stack

logger = logging.getLogger("infra.stack")


def main() -> int:
    """Run until a signal comes. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=Path(".stack"), help="folder for all its data (default: %(default)s)"
    )
    args = parser.parse_args()
    configure_logging()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        stack = Stack(args.folder, Ports(), {"ITRP_SCORING_POOL": "scoring"})
        stack.start()
    except InfraError as error:
        print(error, file=sys.stderr)
        return 1
    _tell(stack)
    while not stopped.wait(5):
        gone = [name for name, service in stack.services.items() if not service.running]
        for name in gone:
            logger.warning("%s has ended (%s): starting it again", name, stack.log(name))
            try:
                stack.services[name].start()
            except InfraError as error:
                logger.error("%s", error)
    stack.stop()
    return 0


def _tell(stack: Stack) -> None:
    file = stack.write_environment()
    lines = [f"  {name:14s} {address}" for name, address in stack.addresses().items()]
    print("The stack is up:", *lines, sep="\n")
    print(f"  passwords      user admin; in {stack.folder / 'secrets.json'} (prefect_password, mlflow_admin_password)")
    print(
        f"  for collectors {stack.write_collectors_keys()}: keys that write tweets under landing/ and open nothing else"
    )
    print(f"  logs           {stack.logs}")
    print("  review         make an account: itrp review add-person NAME, in a shell with the line below")
    print(f"In another shell: source {file} && prefect deployment run score-tweets")
    print("Ctrl-C stops it; its data stays.", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
