"""What every page works with: the catalog, pictures, who is here, and a way to show a template."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import ClientDisconnect

from infra.catalog.database import Catalog
from serving.review.access import Access, Visit
from serving.review.forms import TOKEN, make_token, read_form
from serving.review.held_labels import HeldLabels
from serving.review.index_keeper import IndexKeeper
from serving.review.pictures import Pictures
from serving.review.seal import Seal

PAGES = (
    ("Home", "/"),
    ("Browse", "/browse"),
    ("Label", "/label"),
    ("Agree", "/agree"),
    ("How good", "/how-good"),
    ("Guidelines", "/guidelines"),
)
"""The navigation: name -> path."""
TOLD: dict[str, tuple[str, str]] = {
    "saved": ("Saved.", "good"),
    "skipped": ("Skipped: you will not be asked about it again.", "good"),
    "undone": ("Your last answer is taken back. Here is the tweet again.", "good"),
    "nothing_to_undo": ("There is no answer of yours to take back.", ""),
    "withdrawn": ("Your label is withdrawn. The history keeps that there was one.", "good"),
    "decided": ("Decided. The reason is kept with it.", "good"),
    "again": (
        "This tweet was answered already, perhaps in another tab: that answer stands. Answer here to change it.",
        "bad",
    ),
    "unanswered": ("Answer both questions, or say that you cannot tell.", "bad"),
    "no_reason": ("Give a reason: it is what the others can learn from.", "bad"),
    "out": ("You are logged out.", "good"),
}
"""What a page says after a form was sent: code in the address -> sentence and its colour."""


class LoginNeededError(Exception):
    """Somebody who has to say first who she is."""


@dataclass(frozen=True)
class Desk:
    """One review page's parts."""

    catalog: Catalog
    pictures: Pictures
    access: Access
    seal: Seal
    templates: Environment
    keeper: IndexKeeper
    people: int
    """How many people label a tweet of a queue before it is left to others."""
    labels: HeldLabels = field(default_factory=HeldLabels)

    def show(
        self, request: Request, visit: Visit | None, template: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """A page, with what the frame around it needs. `told`, `told_kind`: a message in place of the address's own."""
        told, kind = TOLD.get(request.query_params.get("told", ""), ("", ""))
        field = self.token_field(visit)
        frame = {
            "person": visit.person if visit else "",
            "asks_password": self.access.asks_password,
            "pages": PAGES,
            "here": _find_page(request.url.path),
            "token": lambda: field,
            "told": told,
            "told_kind": kind,
        }
        return HTMLResponse(self.templates.get_template(template).render(frame | values), status)

    def token_field(self, visit: Visit | None) -> Markup:
        """The hidden field that a form of this visit carries; nothing for nobody."""
        if visit is None:
            return Markup("")
        return Markup('<input type="hidden" name="{}" value="{}">').format(TOKEN, make_token(self.seal, visit))


def _find_page(path: str) -> str:
    """The entry of the navigation that a path belongs to."""
    found = [each for _, each in PAGES if each != "/" and path.startswith(each)]
    return found[0] if found else "/" if path == "/" else ""


def get_desk(request: Request) -> Desk:
    """The app's desk."""
    return cast(Desk, request.app.state.desk)


def get_visit(request: Request, desk: Annotated[Desk, Depends(get_desk)]) -> Visit:
    """Who asks. Raises LoginNeededError."""
    visit = desk.access.find_visit(request)
    if visit is None:
        raise LoginNeededError
    return visit


async def get_form(
    request: Request, desk: Annotated[Desk, Depends(get_desk)], visit: Annotated[Visit, Depends(get_visit)]
) -> Mapping[str, str]:
    """The form that was sent. Raises HTTPException, as `read_form`, and 413 for one without an end."""
    try:
        return await read_form(request, desk.seal, visit)
    except ClientDisconnect:
        raise HTTPException(413, "The form is too large.") from None


DeskOf = Annotated[Desk, Depends(get_desk)]
VisitOf = Annotated[Visit, Depends(get_visit)]
FormOf = Annotated[Mapping[str, str], Depends(get_form)]


def go(address: str) -> RedirectResponse:
    """To a page of ours after a form: the browser asks for it anew, so that loading it again sends no form."""
    return RedirectResponse(address, 303)


def own_path(address: str) -> str:
    """The path and query of an address that a form named, "/" for one that leads elsewhere."""
    parts = urlsplit(address)
    inside = not parts.scheme and not parts.netloc and address.startswith("/") and "\\" not in address
    return address if inside and not address.startswith("//") and address.isprintable() else "/"
