"""What is tried again, and for whom."""

from typing import Any

import pytest
from prefect import flow

from flows.runtime.io_task import RETRIES, io_task, is_outage
from infra.errors import (
    CatalogError,
    CatalogUnavailableError,
    ObjectMissingError,
    SettingsError,
    StoreError,
    StoreUnavailableError,
)
from itrp.errors import DataError, WrongUseError
from serving.errors import UnavailableError as RegistryError


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("x"), CatalogUnavailableError("x"), RegistryError("x"), ConnectionResetError()]
)
def test_outages(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [StoreError("rejected the keys"), ObjectMissingError("x"), CatalogError("no table"), SettingsError("x"), DataError("x"),
     WrongUseError("x"), ValueError("ours"), FileNotFoundError("x")],
)  # fmt: skip
def test_what_would_fail_again_is_no_outage(error: Exception) -> None:
    assert not is_outage(error)


def run_failing(failures: int, error: Exception) -> int:
    """Run a flow whose task fails so many times; returns how often it was called."""
    calls = 0

    @io_task("failing", "failing")
    def failing() -> int:
        nonlocal calls
        calls += 1
        if calls <= failures:
            raise error
        return calls

    @flow
    def outer() -> Any:
        return failing.with_options(retry_delay_seconds=0, retry_jitter_factor=None)()

    try:
        outer()
    except type(error):
        return -calls
    return calls


def test_under_a_worker_outages_are_tried_again_and_refusals_are_not(
    prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = StoreUnavailableError("nothing answers")
    assert run_failing(1, outage) == -1  # at the command line
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "00000000-0000-0000-0000-000000000000")
    assert run_failing(2, outage) == 3
    assert run_failing(100, outage) == -(RETRIES + 1)
    assert run_failing(2, StoreError("rejected the keys")) == -1
