"""The guidelines as a page of their own."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from itrp.labels import GUIDELINE_VERSION
from serving.review.desk import DeskOf, VisitOf
from serving.review.guidelines import ADVICE, EXAMPLES, QUESTIONS

router = APIRouter()


@router.get("/guidelines")
def show_guidelines(request: Request, desk: DeskOf, visit: VisitOf) -> HTMLResponse:
    """Both questions with their rules and all examples."""
    return desk.show(
        request,
        visit,
        "guidelines.html.jinja",
        questions=QUESTIONS,
        examples=EXAMPLES,
        advice=ADVICE,
        version=GUIDELINE_VERSION,
    )
