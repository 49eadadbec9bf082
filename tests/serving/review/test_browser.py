"""The review page before Chromium and with a server process: by keyboard, with kills, two tabs and a hostile tweet."""

import signal
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from infra.catalog.annotations import annotation_history
from serving.review.accounts import Accounts
from tests.review_browser import NEEDS_CHROMIUM, PageServer
from tests.review_hands import PASSWORD, TEAM, labels_of, log_in, open_queue, open_tab, press_answer, tweet_of
from tests.review_stage import HOSTILE_ID, NO_PICTURE_ID, Stage, add_hostile_tweets

pytestmark = [pytest.mark.e2e, NEEDS_CHROMIUM]


def count_entries(stage: Stage) -> int:
    with stage.platform.catalog.session() as session:
        return len(annotation_history(session))


def test_two_people_label_thirty_tweets_by_keyboard_and_alpha_is_the_one_worked_out_by_hand(
    stage: Stage, serve: Callable[..., PageServer], browser: Browser
) -> None:
    """Shown: ana says yes to the first 18; ben says no to 3 of these and yes to 1 other. 34 yes and 26 no among 60 answers, 4
    tweets differ: alpha = 1 - 59 * 4 / (34 * 26) = 0.733. Adds: ana says yes to the first 10, ben no to 2 of these and yes to 4
    others. 22 yes, 38 no, 6 differ: alpha = 1 - 59 * 6 / (22 * 38) = 0.577 (Krippendorff 2004, section 11.3.1).
    """
    for person in ("ana", "ben"):
        Accounts(stage.platform.catalog).add(person, PASSWORD)
    server = serve(settings=TEAM)
    order: list[str] = []
    with open_tab(browser, server.address) as page:
        log_in(page, "ana")
        open_queue(page)
        for number in range(30):
            order.append(tweet_of(page))
            press_answer(page, int(number < 18), int(number < 10))
        expect(page.get_by_role("status")).to_contain_text("Saved.")
    with open_tab(browser, server.address) as page:
        log_in(page, "ben")
        open_queue(page)
        for _ in range(30):
            number = order.index(tweet_of(page))
            text = int((number < 18 and number > 2) or number == 25)
            image = int((number < 10 and number > 1) or number in (15, 16, 17, 18))
            press_answer(page, text, image)
        page.goto("/agree")
        alphas = page.locator(".answer .big")
        expect(alphas.nth(0)).to_contain_text("Alpha 0.73: tentative")
        expect(alphas.nth(1)).to_contain_text("Alpha 0.58: not reliable")
        expect(page.locator(".case")).to_have_count(4 + 6)
        page.get_by_label("Reason").first.fill("The board can be read.")
        page.locator(".case").first.get_by_role("button", name="Yes").click()
        expect(page.get_by_role("status")).to_contain_text("Decided.")
        expect(page.locator(".case")).to_have_count(9)
    found = labels_of(stage)
    assert len(found) == 2 * 2 * 30
    assert {each.tweet_id for each in found} == {*order}
    assert all(each.seconds is not None and each.queue == "random" for each in found)


def test_the_page_works_by_hand_without_a_script(
    stage: Stage, serve: Callable[..., PageServer], browser: Browser
) -> None:
    with open_tab(browser, serve().address, java_script_enabled=False) as page:
        tweet = open_queue(page)
        for group in page.locator("fieldset").all():
            group.get_by_text("Yes").click()
        page.get_by_role("button", name="Save and next").click()
        expect(page.get_by_role("status")).to_contain_text("Saved.")
        assert tweet_of(page) != tweet
        page.get_by_role("button", name="Take back my last answer").click()
        assert tweet_of(page) == tweet
    assert labels_of(stage) == []


def test_keys_of_a_person_who_types_or_has_switched_them_off_answer_nothing(
    stage: Stage, serve: Callable[..., PageServer], browser: Browser
) -> None:
    with open_tab(browser, serve().address) as page:
        tweet = open_queue(page)
        page.keyboard.press("n")
        page.keyboard.type("fjdk s u")
        expect(page.get_by_label("Note")).to_have_value("fjdk s u")
        expect(page.locator("input:checked")).to_have_count(0)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Switch keys off").click()
        page.keyboard.press("f")
        expect(page.locator("input:checked")).to_have_count(0)
        page.get_by_role("button", name="Switch keys on").click()
        page.keyboard.press("f")
        expect(page.get_by_role("status")).to_contain_text("Does the picture show what the text says?: Yes.")
        page.keyboard.press("k")
        expect(page.get_by_role("status")).to_contain_text("Saved.")
        page.keyboard.press("u")
        expect(page.get_by_role("status")).to_contain_text("taken back")
        assert tweet_of(page) == tweet
        page.keyboard.press("s")
        expect(page.get_by_role("status")).to_contain_text("Skipped")
    assert count_entries(stage) == 2 + 2 + 2


def test_the_back_button_leads_to_the_answer_which_can_be_changed(
    stage: Stage, serve: Callable[..., PageServer], browser: Browser
) -> None:
    with open_tab(browser, serve().address) as page:
        tweet = open_queue(page)
        press_answer(page, 1, 1)
        following = tweet_of(page)
        page.go_back()
        assert tweet_of(page) == tweet
        page.reload()
        expect(page.locator("input[name=text]:checked")).to_have_value("1")
        page.keyboard.press("d")
        expect(page.get_by_role("status")).to_contain_text("Saved.")
        assert tweet_of(page) == following
    held = {(each.tweet_id, each.task): each.value for each in labels_of(stage)}
    assert held == {(tweet, "text"): 0, (tweet, "image"): 1}


def test_two_tabs_enter_one_answer(stage: Stage, serve: Callable[..., PageServer], browser: Browser) -> None:
    with open_tab(browser, serve().address) as page:
        tweet = open_queue(page)
        other = page.context.new_page()
        other.goto(page.url)
        press_answer(page, 1, 0)
        press_answer(other, 1, 0)
        assert count_entries(stage) == 2
        third = page.context.new_page()
        third.goto(page.url)
        press_answer(page, 1, 1)
        press_answer(third, 0, 0)
        expect(third.get_by_role("status")).to_contain_text("answered already")
    assert count_entries(stage) == 4
    assert {(each.task, each.value) for each in labels_of(stage) if each.tweet_id != tweet} == {
        ("text", 1),
        ("image", 1),
    }


def test_a_server_killed_in_mid_label_loses_and_doubles_nothing(
    stage: Stage, serve: Callable[..., PageServer], browser: Browser
) -> None:
    server = serve()
    with browser.new_context(base_url=server.address) as context:
        page = context.new_page()
        open_queue(page)
        for _ in range(5):
            press_answer(page, 1, 0)
        tweet, address = tweet_of(page), page.url
        page.keyboard.press("f")
        server.kill()
        with page.expect_event("requestfailed"):
            page.keyboard.press("j")  # sent to nobody
        assert count_entries(stage) == 10
        server.start()
        page.goto(address)
        page.keyboard.press("f")
        page.keyboard.press("j")
        expect(page.get_by_role("status")).to_contain_text("Saved.")
        assert count_entries(stage) == 12
        assert {(each.task, each.value) for each in labels_of(stage) if each.tweet_id == tweet} == {
            ("text", 1),
            ("image", 1),
        }


def test_an_answer_whose_reply_a_kill_has_eaten_is_sent_again_and_stands_once(
    stage: Stage, serve: Callable[..., PageServer], browser: Browser
) -> None:
    """The form was made by the server that was killed: the next one takes it, once."""
    server = serve()
    with browser.new_context(base_url=server.address) as context:
        page = context.new_page()
        tweet = open_queue(page)
        form = page.locator("form").filter(has=page.get_by_role("button", name="Save and next"))
        fields = {
            str(each.get_attribute("name")): str(each.get_attribute("value"))
            for each in form.locator("input[type=hidden]").all()
        } | {"text": "1", "image": "0", "action": "save"}
        path = str(form.get_attribute("action"))
        assert context.request.post(path, form=fields).ok
        server.kill()
        server.start()
        assert context.request.post(path, form=fields).ok
    assert count_entries(stage) == 2
    assert {each.tweet_id for each in labels_of(stage)} == {tweet}


def test_a_hostile_tweet_is_shown_harmlessly(stage: Stage, serve: Callable[..., PageServer], browser: Browser) -> None:
    add_hostile_tweets(stage.platform)
    with open_tab(browser, serve().address) as page:
        for address in (
            f"/tweets/landing/{HOSTILE_ID}",
            f"/label/landing/{HOSTILE_ID}",
            "/browse?words=script&models=none",
        ):
            page.goto(address)
            page.wait_for_load_state("networkidle")
            assert "ITRp review" in page.title()
            text = page.locator(".words").first
            expect(text).to_contain_text("<script>document.title='taken'</script>")
            expect(text).to_contain_text("\ufffd")  # the control character
            picture = page.locator("img[src^='/pictures/']").first
            assert 0 < picture.evaluate("image => image.naturalWidth") <= 1024
        page.goto(f"/tweets/landing/{HOSTILE_ID}")
        assert len(str(page.locator(".words").first.text_content())) < 1_400
        page.get_by_text("Show all 25,000 characters").click()
        rest = page.locator("details .words")
        expect(rest).to_be_visible()
        assert len(str(rest.text_content())) > 20_000
        # what follows the text that turns the direction of writing is not turned
        heading = page.get_by_role("heading", name="Your answer")
        assert heading.evaluate("one => getComputedStyle(one).direction") == "ltr"
        box = page.locator("figure").bounding_box()
        assert box is not None
        assert box["width"] < 800
        answer = page.request.get(f"/pictures/large/landing/{HOSTILE_ID}")
        assert answer.headers["content-type"] == "image/webp"
        assert len(answer.body()) < 1_000_000
        page.goto(f"/tweets/landing/{NO_PICTURE_ID}")
        drawn = page.request.get(f"/pictures/large/landing/{NO_PICTURE_ID}")
        assert drawn.headers["content-type"].startswith("image/svg+xml")
        assert "an HTML page" in drawn.text()


def test_the_page_ends_cleanly_when_it_is_asked_to(serve: Callable[..., PageServer]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        server = serve()
        assert server.stop(number) == 0
        assert "the review page is at http://127.0.0.1:" in server.log
        assert "the review page has ended" in server.log
        assert "Traceback" not in server.log
