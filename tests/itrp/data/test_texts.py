"""Texts: what is a tweet's text and what is not."""

import pytest

from itrp.data.rejections import RejectedError
from itrp.data.texts import MAX_CHARACTERS, check_text, strip_trailing_link


@pytest.mark.parametrize(
    "text",
    [
        "an ordinary text",
        "https://t.co/AbC123",
        "\N{GRINNING FACE}\N{FAMILY}",
        " leading and trailing \n",
        "x" * MAX_CHARACTERS,
        "line\u2028separator",
    ],
)
def test_accepted_as_it_came(text: str) -> None:
    assert check_text(text) == text


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "text_missing"),
        (12, "text_missing"),
        (["a"], "text_missing"),
        (True, "text_missing"),
        ("", "text_empty"),
        (" \n\t\u3000", "text_empty"),
        (b"caf\xe9", "text_not_utf8"),
        ("half \ud83d of a pair", "text_not_utf8"),
        ("a\0b", "text_with_nul"),
        ("x" * (MAX_CHARACTERS + 1), "text_too_long"),
        ("x" * 100_000, "text_too_long"),
    ],
)
def test_refused(value: object, code: str) -> None:
    with pytest.raises(RejectedError) as caught:
        check_text(value)
    assert caught.value.code == code
    assert caught.value.reason.startswith("expected ")


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("words https://t.co/AbC1", "words"),
        ("words http://t.co/AbC1", "words"),
        ("one https://t.co/a two https://t.co/b", "one https://t.co/a two"),
        ("https://t.co/AbC1", "https://t.co/AbC1"),
        ("words https://t.co/AbC1 more", "words https://t.co/AbC1 more"),
        ("words https://example.org/x", "words https://example.org/x"),
    ],
)
def test_strip_trailing_link(text: str, stripped: str) -> None:
    assert strip_trailing_link(text) == stripped


def test_unknown_code_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="text_strange"):
        RejectedError("text_strange", "reason")
