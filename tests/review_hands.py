"""What a person does before the review page, by mouse and keyboard."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect

from infra.catalog.current_labels import CurrentLabel, current_labels
from tests.review_stage import Stage

PASSWORD = "a short sentence"
TEAM = {"ITRP_REVIEW_SECRET": "a secret of tests that is long enough", "ITRP_REVIEW_PEOPLE": "2"}
KEYS = {("text", 1): "f", ("text", 0): "d", ("image", 1): "j", ("image", 0): "k"}


@contextmanager
def open_tab(browser: Browser, address: str, **options: object) -> Iterator[Page]:
    """A browser of its own, which fails the test when a page asks anybody else, opens a dialog or breaks the page's rules."""
    context = browser.new_context(base_url=address, **options)  # type: ignore[arg-type]
    page = context.new_page()
    strange: list[str] = []
    page.on("request", lambda request: request.url.startswith(address) or strange.append(request.url))
    page.on("dialog", lambda dialog: (strange.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: strange.append(str(error)))
    page.on("console", lambda message: "Content Security" in message.text and strange.append(message.text))
    try:
        yield page
        assert strange == []
    finally:
        context.close()


def log_in(page: Page, person: str) -> None:
    page.goto("/login")
    page.get_by_label("Name").fill(person)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"You are {person}")).to_be_visible()


def open_queue(page: Page) -> str:
    """The next random tweet's id."""
    page.goto("/label?queue=random")
    return tweet_of(page)


def tweet_of(page: Page) -> str:
    return page.url.partition("?")[0].rpartition("/")[2]


def press_answer(page: Page, text: int, image: int) -> None:
    """Both questions by their keys; the second one saves, and the next page comes."""
    before = page.url
    page.keyboard.press(KEYS["text", text])
    page.keyboard.press(KEYS["image", image])
    page.wait_for_url(lambda url: url != before)


def labels_of(stage: Stage) -> list[CurrentLabel]:
    with stage.platform.catalog.session() as session:
        return current_labels(session)
