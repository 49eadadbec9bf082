"""`python -m tests.review_screenshots`: docs/images/review/ made anew, from synthetic tweets alone, in light and dark.

Needs Playwright (in the extra `dev`) and Chromium (Debian's package chromium; CHROMIUM names another).
"""

import argparse
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from infra.catalog.annotations import NewAnnotation, record_annotations
from infra.catalog.queries import get_dataset
from infra.catalog.queues import next_tweets
from infra.catalog.review_tables import TASKS, Kind, Queue
from itrp.labels import GUIDELINE_VERSION
from tests.review_browser import open_browser, serve_page
from tests.review_stage import Stage, build_stage

FOLDER = Path(__file__).parents[1] / "docs/images/review"
WIDTH, HEIGHT = 1000, 1150
"""Of a screenshot, in pixels; a longer page is cut."""
COLOURS = 200
LARGEST = 150_000
"""Bytes of a file."""
TWEETS = 240
CAREFUL, HASTY = 0.96, 0.85
"""How often the two people say the truth."""
SHOTS = {
    "home": "/",
    "browse": "/browse",
    "queues": "/label",
    "label": "/label?queue=random",
    "agree": "/agree",
    "how-good": "/how-good",
    "guidelines": "/guidelines",
}


def label_by_two(stage: Stage, tweets: int = 120) -> None:
    """Ana labels the first random tweets, Ben half of them; neither is always right."""
    catalog = stage.platform.catalog
    for person, number, right in (("ana", tweets, CAREFUL), ("ben", tweets // 2, HASTY)):
        rng = np.random.default_rng(len(person) + number)
        with catalog.session() as session:
            dataset = get_dataset(session, "landing")
            assert dataset is not None
            found = next_tweets(session, Queue.RANDOM, dataset.id, person, people=2, limit=number)
            rows = [
                NewAnnotation(
                    dataset_id=dataset.id,
                    tweet_id=tweet.tweet_id,
                    task=task,
                    kind=Kind.LABEL,
                    value=truth if rng.random() < right else 1 - truth,
                    person=person,
                    queue=Queue.RANDOM,
                    guideline=GUIDELINE_VERSION,
                    token=f"{person}-{tweet.tweet_id}",
                    seconds=float(rng.integers(4, 15)),
                    note="The board is hard to read." if rng.random() < 0.1 else None,
                )
                for tweet in found
                for task, truth in zip(TASKS, stage.truth[tweet.tweet_id], strict=True)
            ]
            record_annotations(session, rows)


def reduce_colours(picture: bytes) -> bytes:
    """The screenshot cut to its height, as a PNG with a palette."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image = image.crop((0, 0, image.width, min(image.height, HEIGHT)))
    for colours in (COLOURS, 144, 96, 64, 40):
        sink = io.BytesIO()
        image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(sink, "PNG", optimize=True)
        if len(sink.getvalue()) <= LARGEST:
            break
    return sink.getvalue()


def take_screenshots(page: Page, folder: Path, tweet: str) -> list[Path]:
    """All pages in both schemes; returns the files."""
    files = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for name, address in {**SHOTS, "tweet": f"/tweets/landing/{tweet}"}.items():
            page.goto(address)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=None)  # pictures below the fold are loaded when they come near it
            picture = page.screenshot(full_page=True, animations="disabled")
            file = folder / f"{name}-{scheme}.png"
            file.write_bytes(reduce_colours(picture))
            files.append(file)
    return files


def main(words: Sequence[str] | None = None) -> None:
    """Build a stage, label, look."""
    parser = argparse.ArgumentParser(prog="python -m tests.review_screenshots", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they go (default: %(default)s)")
    args = parser.parse_args(words)
    args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        stage = build_stage(Path(work), TWEETS)
        label_by_two(stage)
        with stage.platform.catalog.session() as session:
            dataset = get_dataset(session, "landing")
            assert dataset is not None
            tweet = next_tweets(session, Queue.RANDOM, dataset.id, "nobody", people=9)[0].tweet_id
        with serve_page(stage.platform, "ana") as address, open_browser() as browser:
            context = browser.new_context(base_url=address, viewport={"width": WIDTH, "height": 900})
            for file in take_screenshots(context.new_page(), args.folder, tweet):
                print(f"{file}: {file.stat().st_size // 1000} KB")


if __name__ == "__main__":
    main()
