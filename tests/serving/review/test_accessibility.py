"""Every page of a review before axe-core: light, dark and on a phone."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from serving.review.accounts import Accounts
from tests.review_axe import find_faults, install_axe
from tests.review_browser import NEEDS_CHROMIUM, PageServer
from tests.review_hands import PASSWORD, TEAM, labels_of, log_in, open_queue, open_tab, press_answer
from tests.review_stage import HOSTILE_ID, Stage, add_hostile_tweets

pytestmark = [pytest.mark.e2e, NEEDS_CHROMIUM]


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, installed by npm and never part of this repository."""
    return install_axe(tmp_path_factory.mktemp("axe"))


@pytest.mark.skipif(
    not shutil.which("npm") and "CI" not in os.environ,  # there it is a failure too
    reason="needs npm (Debian's package npm), which installs axe-core",
)
def test_no_page_has_a_serious_fault_of_accessibility(
    stage: Stage, serve: Callable[..., PageServer], browser: Browser, axe: str
) -> None:
    add_hostile_tweets(stage.platform)
    Accounts(stage.platform.catalog).add("ana", PASSWORD)
    server = serve(settings=TEAM)
    faults: list[str] = []
    with open_tab(browser, server.address) as page:
        page.goto("/login")
        faults += find_faults(page, axe)
        log_in(page, "ana")
        for number in range(6):
            open_queue(page)
            press_answer(page, number % 2, int(number < 3))
        tweet = labels_of(stage)[0].tweet_id
        addresses = [
            *(
                "/",
                "/browse",
                "/browse?words=script&labels=1&models=none",
                "/browse?words=nowhere",
                "/browse?since=x",
                "/label",
            ),
            *("/label?queue=random", f"/label/landing/{tweet}", f"/tweets/landing/{tweet}", "/agree", "/how-good"),
            *("/guidelines", f"/tweets/landing/{HOSTILE_ID}?people=1", "/nowhere"),
        ]
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            for address in addresses:
                page.goto(address)
                page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
                faults += [f"{scheme}: {fault}" for fault in find_faults(page, axe)]
        page.set_viewport_size({"width": 360, "height": 640})
        for address in addresses:
            page.goto(address)
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            faults += [f"{address} is {wide} pixels wider than a phone"] if wide > 0 else []
            faults += [f"phone: {fault}" for fault in find_faults(page, axe)]
    assert faults == []


def test_nothing_of_axe_is_in_the_repository() -> None:
    root = Path(__file__).parents[3]
    for room in ("serving", "tests", "docs"):
        assert [*(root / room).rglob("axe*.js")] == []
