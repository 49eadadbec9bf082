"""Log in and out, where the page has accounts; and the health check, which anybody may ask."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from serving.review.access import AccountAccess, Visit
from serving.review.desk import Desk, DeskOf, FormOf, VisitOf, go, own_path
from serving.review.forms import read_form
from serving.review.guard import LoginLimit

router = APIRouter()
VISITOR = Visit("", "login")
"""Whose form it is before anybody is known."""


@router.get("/health")
def tell_health() -> dict[str, str]:
    """The server answers."""
    return {"status": "ok"}


@router.get("/login")
def show_login(request: Request, desk: DeskOf, next: str = "/") -> Response:
    """The form; whoever is in already goes on."""
    _find_accounts(desk)
    if desk.access.find_visit(request) is not None:
        return go(own_path(next))
    return _show_form(request, desk, next)


def _find_accounts(desk: Desk) -> AccountAccess:
    if not isinstance(desk.access, AccountAccess):
        raise HTTPException(404, "This page runs for one person and asks for no password.")
    return desk.access


def _show_form(
    request: Request, desk: Desk, next_path: str, name: str = "", told: str | None = None, status: int = 200
) -> HTMLResponse:
    values = {} if told is None else {"told": told, "told_kind": "bad"}
    field = desk.token_field(VISITOR)
    return desk.show(
        request,
        None,
        "login.html.jinja",
        status=status,
        next=own_path(next_path),
        name=name,
        token=lambda: field,
        **values,
    )


@router.post("/login")
async def log_in(request: Request, desk: DeskOf) -> Response:
    """Check name and password; a session for who has them. Many wrong ones have to wait."""
    access = _find_accounts(desk)
    fields = await read_form(request, desk.seal, VISITOR)
    name, next_path = fields.get("name", "").strip()[:64], fields.get("next", "/")
    address = request.client.host if request.client else ""
    limit: LoginLimit = request.app.state.login_limit
    if not limit.allows(name, address):
        told = f"Too many tries: wait {limit.wait_seconds(name)} seconds."
        return _show_form(request, desk, next_path, name, told, 429)
    if not await run_in_threadpool(access.accounts.check, name, fields.get("password", "")):
        return _show_form(request, desk, next_path, name, "Name or password is wrong.", 403)
    response = go(own_path(next_path))
    await run_in_threadpool(access.open, response, name)
    return response


@router.post("/logout")
def log_out(desk: DeskOf, visit: VisitOf, form: FormOf) -> Response:
    """End the session of this browser."""
    access = _find_accounts(desk)
    response = go("/login?told=out")
    access.close(response)
    return response
