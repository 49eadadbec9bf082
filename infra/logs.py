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
_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@'\"]*:)[^\s/'\"]+(?=@)", re.IGNORECASE)
"""In a URL, such as one that a library quotes: `scheme://user:password@host`."""


class Redactor:
    """Blots secrets out of a text, passwords in URLs that nobody has named, and the signatures of presigned ones."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Longest first: a secret that begins like another must not leave the other's end behind.
        known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """The text without them."""
        text = _PASSWORD.sub(r"\1***", _SIGNED.sub(r"\1***", text))
        return self._secrets.sub("***", text) if self._secrets else text


class RedactingFormatter(logging.Formatter):
    """`HH:MM:SS level name: message`, with secrets blotted out, also in arguments and tracebacks."""

    def __init__(self, redact: Iterable[str] = ()) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
        self._redact = Redactor(redact)

    def format(self, record: logging.LogRecord) -> str:
        """The whole line, redacted last of all, so that nothing comes in behind it."""
        return self._redact(super().format(record))


class RedactingFilter(logging.Filter):
    """The same for somebody else's handler: blots secrets out of a record before it is formatted."""

    def __init__(self, redact: Iterable[str] = ()) -> None:
        super().__init__()
        self._redact = Redactor(redact)

    def filter(self, record: logging.LogRecord) -> bool:
        """True, always: the line is written, without secrets."""
        record.msg, record.args = self._redact(record.getMessage()), ()
        if record.exc_info:
            # a formatter takes this text instead of the traceback
            record.exc_text = self._redact(record.exc_text or logging.Formatter().formatException(record.exc_info))
        return True


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
