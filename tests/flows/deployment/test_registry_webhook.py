"""MLflow's signature, checked against MLflow's own signing."""

import json
import time
from collections.abc import Callable

import pytest
from mlflow.webhooks.delivery import _generate_hmac_signature

from flows.deployment.registry_webhook import (
    DELIVERY_HEADER,
    SIGNATURE_HEADER,
    SKEW_SECONDS,
    TIMESTAMP_HEADER,
    is_genuine,
)

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


# Each makes its headers when its test runs: one from the future, made when tests are collected, is genuine an hour later.
REFUSED: dict[str, Callable[[], tuple[dict[str, str], str]]] = {
    "another secret": lambda: (sign("another secret"), BODY),
    "another body": lambda: (sign(), BODY + " "),
    "too old": lambda: (sign(age=SKEW_SECONDS + 60), BODY),
    "from the future": lambda: (sign(age=-10 * SKEW_SECONDS), BODY),
    "another delivery": lambda: ({**sign(), DELIVERY_HEADER: "delivery-2"}, BODY),
    "no time": lambda: ({**sign(), TIMESTAMP_HEADER: "yesterday"}, BODY),
    "a time of 5,000 digits": lambda: ({**sign(), TIMESTAMP_HEADER: "9" * 5000}, BODY),
    "a time in other digits": lambda: ({**sign(), TIMESTAMP_HEADER: "٣٣٣"}, BODY),
    "an empty time": lambda: ({**sign(), TIMESTAMP_HEADER: ""}, BODY),
    "no signature": lambda: ({**sign(), SIGNATURE_HEADER: "v1,päng"}, BODY),
    "no headers": lambda: ({}, BODY),
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused(case: str) -> None:
    headers, body = REFUSED[case]()
    assert not is_genuine(headers, body.encode(), SECRET)
