"""MLflow's signature, checked against MLflow's own signing."""

import json
import time

import pytest
from mlflow.webhooks.delivery import _generate_hmac_signature

from flows.registry_webhook import DELIVERY_HEADER, SIGNATURE_HEADER, SKEW_SECONDS, TIMESTAMP_HEADER, is_genuine

SECRET = "a secret of the test"
BODY = json.dumps({"entity": "model_version_alias", "data": {"alias": "champion", "name": "itrp-text-task"}})


def sign(secret: str = SECRET, body: str = BODY, age: int = 0) -> dict[str, str]:
    """The headers MLflow sends with a body."""
    stamp = str(int(time.time()) - age)
    signature = _generate_hmac_signature(secret, "delivery-1", stamp, body)
    return {DELIVERY_HEADER: "delivery-1", TIMESTAMP_HEADER: stamp, SIGNATURE_HEADER: signature}


def test_what_mlflow_signs_is_genuine() -> None:
    assert is_genuine(sign(), BODY.encode(), SECRET)
    assert is_genuine(sign(age=SKEW_SECONDS - 60), BODY.encode(), SECRET)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (sign("another secret"), BODY),
        (sign(), BODY + " "),
        (sign(age=SKEW_SECONDS + 60), BODY),
        (sign(age=-10 * SKEW_SECONDS), BODY),
        ({**sign(), DELIVERY_HEADER: "delivery-2"}, BODY),
        ({**sign(), TIMESTAMP_HEADER: "yesterday"}, BODY),
        ({**sign(), TIMESTAMP_HEADER: "9" * 5000}, BODY),
        ({**sign(), TIMESTAMP_HEADER: "٣٣٣"}, BODY),
        ({**sign(), TIMESTAMP_HEADER: ""}, BODY),
        ({**sign(), SIGNATURE_HEADER: "v1,päng"}, BODY),
        ({}, BODY),
    ],
)
def test_anything_else_is_refused(headers: dict[str, str], body: str) -> None:
    assert not is_genuine(headers, body.encode(), SECRET)
