"""The review page as an application: guard, pages and what is said when something is not there."""

import logging
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException as PlainHTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from infra.errors import InfraError, ReviewError
from serving.review.desk import Desk, LoginNeededError, go
from serving.review.guard import Guard, LoginLimit
from serving.review.pages import PAGE_ROUTERS
from serving.review.rendering import make_link

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
HEADINGS = {
    403: "Not taken",
    404: "Not found",
    413: "Too large",
    415: "Not taken",
    500: "Something failed",
    503: "Not now",
}


class Files(StaticFiles):
    """Our own script, style and drawings: asked for again after an upgrade, and otherwise kept for an hour."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file."""
        response = await super().get_response(path, scope)
        response.headers.setdefault("Cache-Control", "private, max-age=3600")
        return response


def make_app(desk: Desk, addresses: tuple[str, ...]) -> FastAPI:
    """The page of a desk. addresses: where people open it, such as http://127.0.0.1:4400."""
    app = FastAPI(title="ITRp review", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    app.state.login_limit = LoginLimit()
    app.add_middleware(Guard, addresses=addresses)
    for router in PAGE_ROUTERS:
        app.include_router(router)
    app.mount("/static", Files(directory=STATIC), name="static")
    _explain_problems(app, desk)
    return app


def _explain_problems(app: FastAPI, desk: Desk) -> None:
    """Pages for people in place of JSON and traces."""

    def show_problem(request: Request, status: int, sentence: str) -> Response:
        heading = HEADINGS.get(status, "Not understood")
        visit = desk.access.find_visit(request)
        return desk.show(request, visit, "problem.html.jinja", status=status, heading=heading, sentence=sentence)

    @app.exception_handler(LoginNeededError)
    def ask_to_log_in(request: Request, error: Exception) -> Response:
        if request.method != "GET":
            return go("/login")
        query = f"?{request.url.query}" if request.url.query else ""
        return go(make_link("/login", next=request.url.path + query))

    @app.exception_handler(PlainHTTPException)
    def explain(request: Request, error: Exception) -> Response:
        assert isinstance(error, PlainHTTPException)
        sentence = error.detail if isinstance(error, HTTPException) else "There is no such page."
        return show_problem(request, error.status_code, str(sentence))

    @app.exception_handler(ReviewError)
    def explain_wrong_use(request: Request, error: Exception) -> Response:
        return show_problem(request, 400, f"{error}.")

    @app.exception_handler(InfraError)
    def explain_outage(request: Request, error: Exception) -> Response:
        logger.warning("%s", error)
        sentence = (
            "The catalog or the object store does not answer. Nothing is lost: go back, and try again in a minute."
        )
        return desk.show(request, None, "problem.html.jinja", status=503, heading=HEADINGS[503], sentence=sentence)
