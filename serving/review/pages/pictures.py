"""Tweets' pictures, as thumbnails alone."""

from fastapi import APIRouter, HTTPException, Response

from infra.catalog.queries import find_tweet
from serving.review.desk import DeskOf, VisitOf
from serving.review.thumbnails import SIZES

router = APIRouter()
KEPT = "private, max-age=86400"
"""A tweet's picture never changes."""


@router.get("/pictures/{size}/{dataset}/{tweet_id}")
def send_picture(size: str, dataset: str, tweet_id: str, desk: DeskOf, visit: VisitOf) -> Response:
    """A tweet's picture re-encoded, small or large; a drawing that says why where there is none."""
    if size not in SIZES:
        raise HTTPException(404, f"There are pictures of the sizes {' and '.join(SIZES)}.")
    with desk.catalog.session() as session:
        found = [each for each in find_tweet(session, tweet_id) if each.dataset.name == dataset]
    if not found:
        raise HTTPException(404, "There is no such tweet in this data set.")
    thumbnail = desk.pictures.show(found[0].shard.key, found[0].tweet.row, size)
    # a picture that could not be read today may be read by a later version
    headers = {"Cache-Control": "private, max-age=60" if thumbnail.problem else KEPT}
    return Response(thumbnail.data, media_type=thumbnail.media_type, headers=headers)
