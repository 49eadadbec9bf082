"""Logging as the command line configures it."""

import logging
import re

import pytest

from infra.logs import RedactingFilter, Redactor, StandardErrorHandler, configure_logging


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch, log_as_before: None) -> None:
    monkeypatch.setenv("MLFLOW_LOGGING_LEVEL", "WARNING")


def test_plain_lines_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    logging.getLogger("flows.ingest").info("took %d lines", 3)
    logging.getLogger("infra").debug("not shown")
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO flows.ingest: took 3 lines\n", err)


def test_verbose_shows_ours_but_not_the_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(verbose=True)
    logging.getLogger("itrp.training").debug("ours")
    for name in ("urllib3.connectionpool", "httpx", "some.library"):
        logging.getLogger(name).info("theirs")
        logging.getLogger(name).warning("warned")
    err = capsys.readouterr().err
    assert "DEBUG itrp.training: ours" in err
    assert "theirs" not in err
    assert err.count("warned") == 3


def test_configuring_twice_says_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(verbose=True)
    configure_logging()
    logging.getLogger("serving").info("once")
    logging.getLogger("serving").debug("not any more")
    assert capsys.readouterr().err.count("\n") == 1
    assert sum(isinstance(handler, StandardErrorHandler) for handler in logging.getLogger().handlers) == 1


def test_secrets_are_blotted_out_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(redact=["geheim", "geheim-longer", "a.b", ""])
    logger = logging.getLogger("infra")
    logger.info("message geheim-longer, %s and %s", "argument geheim", {"nested": "a.b"})
    try:
        raise ValueError("in an error: geheim")
    except ValueError:
        logger.exception("failed")
    logger.info("axb stays")
    err = capsys.readouterr().err
    assert "INFO infra: message ***, argument *** and {'nested': '***'}" in err
    assert "ValueError: in an error: ***" in err
    assert "axb stays" in err
    assert "geheim" not in err


def test_signatures_of_urls_are_blotted_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    logging.getLogger("urllib3").warning(
        "Retrying: /tweets/x?X-Amz-Credential=key%%2F2026&X-Amz-Expires=900&X-Amz-Signature=abc123"
    )
    err = capsys.readouterr().err
    assert "?X-Amz-Credential=***&X-Amz-Expires=900&X-Amz-Signature=***" in err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no answer from postgresql+psycopg://itrp:hunter2@db:5432/itrp", "postgresql+psycopg://itrp:***@db:5432/itrp"),
        ("https://user:p%40ss@host/a and s3://key:other@store/b", "https://user:***@host/a and s3://key:***@store/b"),
        ("redis://:hunter2@queue:6379/1", "redis://:***@queue:6379/1"),
        ("see http://127.0.0.1:9000/a@b and mail@example.org", "see http://127.0.0.1:9000/a@b and mail@example.org"),
    ],
)
def test_passwords_of_urls_that_nobody_has_named_are_blotted_out(text: str, told: str) -> None:
    assert told in Redactor()(text)


def test_a_filter_blots_secrets_out_of_others_handlers(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("somebody.else")
    handler = StandardErrorHandler()
    handler.addFilter(RedactingFilter(["geheim"]))
    logger.addHandler(handler)
    try:
        logger.warning("password %s for %d", "geheim", 3)
        try:
            raise ValueError("the key geheim is wrong")
        except ValueError:
            logger.exception("it failed")
    finally:
        logger.removeHandler(handler)
    told = capsys.readouterr().err
    assert "password *** for 3" in told
    assert "ValueError: the key *** is wrong" in told
    assert "geheim" not in told
