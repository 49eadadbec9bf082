"""What the server hands out and recognises again: sessions, forms and the tweets it has shown, signed with one secret."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer

from infra.files import write_private

SESSION, FORM, SHOWN = "session", "form", "shown"
"""What a signature is for: one made for a form opens no session."""


@dataclass(frozen=True)
class Seal:
    """Signs values for one purpose, with the time at which it did. HMAC-SHA256, of the library itsdangerous."""

    secret: str

    def sign(self, purpose: str, value: Any) -> str:
        """The value (any JSON) and its signature, in letters that fit a URL, a cookie and a form."""
        return self._signer(purpose).dumps(value)

    def read(self, purpose: str, text: str, *, max_age: int | None = None) -> tuple[Any, datetime] | None:
        """The value and when it was signed; None for a foreign, changed or too old text (`max_age`: seconds)."""
        try:
            value, signed_at = self._signer(purpose).loads(text, max_age=max_age, return_timestamp=True)
        except BadData:
            return None
        return value, signed_at

    def _signer(self, purpose: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            self.secret, salt=f"itrp-review-{purpose}", signer_kwargs={"digest_method": hashlib.sha256}
        )


def keep_secret(file: Path) -> str:
    """The secret in a file that only its owner reads, drawn the first time: forms outlive a restart of the server."""
    if not file.exists():
        write_private(file, secrets.token_hex(32))
    return file.read_text().strip()
