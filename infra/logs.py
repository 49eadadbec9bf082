"""Logging, configured once by the command line: plain lines on standard error, without secrets."""

import logging
import os
import re
import sys
from collections.abc import Iterable

ROOMS = ("itrp", "infra", "serving", "flows")
CHATTY = ("alembic", "git", "httpx", "huey", "matplotlib", "mlflow", "sqlalchemy", "transformers", "urllib3")
"""Libraries that tell a person at the command line more than they asked for."""

_SIGNED = re.compile(r"(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s'\"]+", re.IGNORECASE)


class RedactingFormatter(logging.Formatter):
    """`HH:MM:SS level name: message`, with secrets blotted out, also in arguments and tracebacks."""

    def __init__(self, redact: Iterable[str] = ()) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
        # Longest first: a secret that begins like another must not leave the other's end behind.
        secrets = sorted({secret for secret in redact if secret}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, secrets))) if secrets else None

    def format(self, record: logging.LogRecord) -> str:
        """The whole line, redacted last of all, so that nothing comes in behind it."""
        line = _SIGNED.sub(r"\1***", super().format(record))
        return self._secrets.sub("***", line) if self._secrets else line


class StandardErrorHandler(logging.StreamHandler):
    """Writes to what standard error is now, not to what it was when logging was configured."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def configure_logging(verbose: bool = False, redact: Iterable[str] = ()) -> None:
    """One handler on standard error. Ours at INFO, or DEBUG when verbose; all others at WARNING.

    Can be called again: the later call counts. `redact` are values that never stand in a line
    (`Settings.secrets`).
    """
    root = logging.getLogger()
    for handler in [*root.handlers]:
        if isinstance(handler, StandardErrorHandler):
            root.removeHandler(handler)
    handler = StandardErrorHandler()
    handler.setFormatter(RedactingFormatter(redact))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in ROOMS:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    # MLflow sets its own level and handler when it is imported, and listens to this alone.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
