"""What a browser sends with a form: read within bounds, and taken only from a page of ours."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request

from serving.review.access import Visit
from serving.review.seal import FORM, Seal

MAX_FIELDS = 40
FORM_TYPE = "application/x-www-form-urlencoded"
FORM_DAYS = 30
"""So long a page may lie open before its form is sent."""
TOKEN = "form_token"
"""The field that proves that the form is ours."""


def make_token(seal: Seal, visit: Visit) -> str:
    """What the forms of a visit carry: another site can neither read nor make it (cross-site request forgery)."""
    return seal.sign(FORM, visit.key)


async def read_form(request: Request, seal: Seal, visit: Visit) -> Mapping[str, str]:
    """The fields of a form that was made for this visit, the last of each name.

    Raises HTTPException: 415 for another kind of body, 400 for one that cannot be read, 403 without our token.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise HTTPException(415, f"This address takes forms ({FORM_TYPE}) alone.")
    try:
        body = (await request.body()).decode("utf-8")
        fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"))
    except ValueError:
        raise HTTPException(
            400, "The form could not be read: go back, load the page again, and send it again."
        ) from None
    found = seal.read(FORM, fields.pop(TOKEN, ""), max_age=FORM_DAYS * 86_400)
    if found is None or found[0] != visit.key:
        raise HTTPException(
            403, "This form was not made for you, or is too old: load the page again, and send it again."
        )
    return fields


def clean_text(text: str, longest: int) -> str:
    """What a person typed, without what no database keeps (NUL) or nobody sees, and at most so long."""
    kept = "".join(
        each for each in text.replace("\r\n", "\n") if each in "\n\t" or (ord(each) >= 32 and each != "\x7f")
    )
    return kept.strip()[:longest]
