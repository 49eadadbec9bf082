"""MLflow's webhook that tells the bridge of moved aliases: registered on the server, and its signature checked."""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping

from mlflow.entities.webhook import WebhookEvent, WebhookEventStr

from infra.settings import Settings
from serving.registry import connect_mlflow

NAME = "itrp-bridge"
PATH = "/mlflow"
EVENTS: list[WebhookEventStr | WebhookEvent] = ["model_version_alias.created", "model_version_alias.deleted"]
SKEW_SECONDS = 300
"""A delivery older than this is rejected: somebody may be repeating one they have recorded."""

SIGNATURE_HEADER = "x-mlflow-signature"
TIMESTAMP_HEADER = "x-mlflow-timestamp"
DELIVERY_HEADER = "x-mlflow-delivery-id"


def apply_webhook(settings: Settings) -> str | None:
    """Register the webhook, or bring the one that is there up to date. Returns its address; None when there is nothing to
    register: no bridge, no secret, or MLflow without a server. Needs the right of an administrator there.
    """
    if not (settings.bridge_url and settings.webhook_secret and settings.mlflow_uri.startswith("http")):
        return None
    client = connect_mlflow(settings.mlflow_uri)
    url, secret = settings.bridge_url.rstrip("/") + PATH, settings.webhook_secret.get_secret_value()
    known = [webhook for webhook in client.list_webhooks() if webhook.name == NAME]
    if known:
        client.update_webhook(known[0].webhook_id, url=url, events=EVENTS, secret=secret, status="ACTIVE")
    else:
        client.create_webhook(NAME, url, EVENTS, "sends moved champions to itrp", secret, "ACTIVE")
    return url


def is_genuine(headers: Mapping[str, str], body: bytes, secret: str, now: float | None = None) -> bool:
    """Was this delivery signed with the secret, within the last five minutes?

    MLflow's signature is `v1,` and the base64 of HMAC-SHA256 over `<delivery id>.<timestamp>.<body>`.
    """
    delivery, stamp = headers.get(DELIVERY_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
    if not re.fullmatch(r"[0-9]{1,12}", stamp) or abs((now or time.time()) - int(stamp)) > SKEW_SECONDS:
        return False
    digest = hmac.new(secret.encode(), f"{delivery}.{stamp}.".encode() + body, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(digest).decode()}"
    return hmac.compare_digest(expected.encode(), headers.get(SIGNATURE_HEADER, "").encode())
