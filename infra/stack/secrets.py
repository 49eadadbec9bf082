"""The stack's passwords and keys: drawn at the first start, kept in a file that only its owner reads."""

import base64
import dataclasses
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from infra.files import write_private


def _draw() -> str:
    return secrets.token_hex(20)


def _draw_fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True)
class Secrets:
    """One value a purpose. User names are no secrets; access keys are."""

    postgres_password: str = field(default_factory=_draw, repr=False)
    prefect_database_password: str = field(default_factory=_draw, repr=False)
    mlflow_database_password: str = field(default_factory=_draw, repr=False)
    catalog_password: str = field(default_factory=_draw, repr=False)
    objects_admin_key: str = field(default_factory=_draw, repr=False)
    objects_admin_secret: str = field(default_factory=_draw, repr=False)
    worker_access_key: str = field(default_factory=_draw, repr=False)
    worker_secret_key: str = field(default_factory=_draw, repr=False)
    collector_access_key: str = field(default_factory=_draw, repr=False)
    collector_secret_key: str = field(default_factory=_draw, repr=False)
    mlflow_access_key: str = field(default_factory=_draw, repr=False)
    mlflow_secret_key: str = field(default_factory=_draw, repr=False)
    mlflow_admin_password: str = field(default_factory=_draw, repr=False)
    mlflow_scorer_password: str = field(default_factory=_draw, repr=False)
    mlflow_session_key: str = field(default_factory=_draw, repr=False)
    mlflow_webhook_key: str = field(default_factory=_draw_fernet_key, repr=False)
    prefect_password: str = field(default_factory=_draw, repr=False)
    webhook_secret: str = field(default_factory=_draw, repr=False)
    review_secret: str = field(default_factory=_draw, repr=False)

    @property
    def values(self) -> list[str]:
        """All of them."""
        return list(dataclasses.asdict(self).values())


def keep_secrets(file: Path) -> Secrets:
    """The secrets in a file; what is missing there, because it is new, is drawn and written, with mode 0600."""
    known = json.loads(file.read_text()) if file.exists() else {}
    kept = Secrets(**known)
    if dataclasses.asdict(kept) != known:
        write_private(file, json.dumps(dataclasses.asdict(kept), indent=1))
    return kept
