"""What the bridge answers to deliveries that nobody should send."""

import pytest
from fastapi.testclient import TestClient

from flows.deployment.bridge import make_app
from flows.deployment.registry_webhook import TIMESTAMP_HEADER
from tests.flows.deployment.test_registry_webhook import BODY, SECRET, sign


@pytest.mark.parametrize("body", ["[" * 200_000, "no json", '{"data": ' + "9" * 5000 + "}"])
def test_a_signed_body_that_cannot_be_read_is_refused(body: str) -> None:
    answer = TestClient(make_app(SECRET)).post("/mlflow", content=body, headers=sign(body=body))
    assert (answer.status_code, answer.json()["detail"]) == (400, "the body is no JSON")


def test_a_timestamp_of_thousands_of_digits_is_refused() -> None:
    headers = {**sign(), TIMESTAMP_HEADER: "9" * 5000}
    answer = TestClient(make_app(SECRET)).post("/mlflow", content=BODY, headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (401, "the signature or its time is wrong")
