"""Who may ask, and what a browser is allowed: hosts, origins, forms, passwords, sizes, headers."""

from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from infra.catalog.people import disable_person, enable_person, set_password
from serving.review.access import COOKIE, AccountAccess
from serving.review.accounts import Accounts
from serving.review.app import make_app
from serving.review.guard import MAX_BODY, Guard, LoginLimit
from tests.review_stage import Stage
from tests.serving.review.conftest import ADDRESS, SEAL, Reader, make_desk
from tests.serving.review.test_label import YES_NO, open_tweet

POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


@pytest.mark.parametrize(
    "address", ["/", "/label?queue=random", "/static/review.css", "/static/examples/dog.svg", "/nowhere"]
)
def test_every_answer_forbids_what_is_not_ours(ana: Reader, address: str) -> None:
    answer = ana.client.get(address)
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "server" not in answer.headers


def test_pages_hold_no_inline_script_or_style_and_nothing_from_outside(ana: Reader) -> None:
    tweet = open_tweet(ana)
    ana.send(tweet, **YES_NO)
    for address in (
        "/",
        "/browse",
        "/label?queue=random",
        f"/tweets/landing/{tweet}",
        "/agree",
        "/how-good",
        "/guidelines",
    ):
        html = ana.get(address)
        assert "<style" not in html
        assert " style=" not in html
        assert html.count("<script") == 1
        assert '<script src="/static/review.js" defer></script>' in html
        assert "//" not in html.replace("https://t.co", "")  # drawn tweets hold such links in their texts
        assert "http://" not in html


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example:4400"}, 421),
        ({"host": "127.0.0.1:4401"}, 421),
        ({"host": "127.0.0.1"}, 421),
        ({"host": ""}, 421),
        ({"host": "127.0.0.1:4400"}, 200),
    ],
)
def test_a_name_made_to_mean_this_machine_is_not_answered(ana: Reader, headers: dict[str, str], status: int) -> None:
    assert ana.client.get("/", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:4401"}, 403),
        ({"origin": "null", "sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": ADDRESS}, 200),
        ({}, 200),
    ],
)
def test_a_form_of_another_site_is_not_taken(ana: Reader, headers: dict[str, str], status: int) -> None:
    open_tweet(ana)
    ana.client.headers.update(headers)
    ana.send("/label/undo", status=status)


def test_a_form_without_our_token_is_not_taken(ana: Reader) -> None:
    tweet = open_tweet(ana)
    for token in ("", "made up", "W10.abc.def"):
        ana.send(tweet, status=403, **YES_NO, form_token=token)
        open_tweet(ana)
    ana.post(f"/label/landing/{tweet}", YES_NO, 403)
    # a session's signature is none of a form
    assert "made for you" in ana.post("/label/undo", {"form_token": "x"}, 403)


def test_other_kinds_of_requests_are_not_taken(ana: Reader) -> None:
    assert ana.client.put("/label").status_code == 405
    assert ana.client.post("/label/undo", json={"a": 1}).status_code == 415
    assert ana.client.post("/label/undo", files={"a": b"x"}).status_code == 415
    assert ana.client.get("/?" + "x" * 5_000).status_code == 414
    assert ana.client.post("/label/undo", data={"note": "x" * MAX_BODY}).status_code == 413


def test_a_form_without_a_length_is_cut_off(ana: Reader) -> None:
    def endless() -> object:
        for _ in range(40):
            yield b"x" * 4_096

    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert ana.client.post("/label/undo", content=endless(), headers=headers).status_code == 413


def test_too_many_requests_have_to_wait() -> None:
    async def app(scope: dict[str, object], receive: object, send: Callable[[dict[str, object]], object]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[misc]
        await send({"type": "http.response.body", "body": b"ok"})  # type: ignore[misc]

    client = TestClient(Guard(app, addresses=(ADDRESS,), per_minute=5), base_url=ADDRESS)  # type: ignore[arg-type]
    assert [client.get("/").status_code for _ in range(7)] == [200] * 5 + [429] * 2
    assert client.get("/").headers["retry-after"] == "60"


def test_a_fault_of_ours_is_one_sentence_with_all_headers(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise ZeroDivisionError("a secret detail")

    answer = TestClient(Guard(app, addresses=(ADDRESS,)), base_url=ADDRESS).get("/")
    assert answer.status_code == 500
    assert "the server's log says what" in answer.text
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"] == POLICY
    assert "a secret detail" in caplog.text


def log_in(reader: Reader, password: str = "a short sentence", status: int = 200, **fields: str) -> str:
    reader.get("/login")
    return reader.send("/login", status=status, name="ana", password=password, **fields)


def test_a_team_logs_in_and_out(team: Callable[[], Reader]) -> None:
    reader = team()
    assert "Log in" in reader.get("/browse?lang=en")
    assert reader.page is not None
    assert reader.page.url.params["next"] == "/browse?lang=en"
    reader.send("/login", name="ana", password="a short sentence")
    assert reader.page.url.path == "/browse"
    assert "You are <strong><bdi>ana</bdi></strong>" in reader.get("/")
    cookie = next(each for each in reader.client.cookies.jar if each.name == COOKIE)
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "lax"
    assert "You are logged out" in reader.send("/logout")
    assert "Log in" in reader.get("/")


def test_the_cookie_goes_by_tls_alone_where_people_come_by_it(stage: Stage, team: Callable[[], Reader]) -> None:
    team()
    access = AccountAccess(Accounts(stage.platform.catalog), SEAL, secure=True)
    address = "https://review.example.org"
    reader = Reader(TestClient(make_app(make_desk(stage.platform, access), (address,)), base_url=address))
    log_in(reader)
    assert next(each for each in reader.client.cookies.jar if each.name == COOKIE).secure


def test_no_page_and_no_picture_is_shown_to_nobody(team: Callable[[], Reader]) -> None:
    reader = team()
    for address in ("/", "/browse", "/label", "/agree", "/how-good", "/guidelines", "/pictures/small/landing/1"):
        answer = reader.client.get(address, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")
    assert reader.client.post("/label/undo", follow_redirects=False).headers["location"] == "/login"
    assert reader.client.get("/health").json() == {"status": "ok"}


def test_a_wrong_password_and_a_wrong_name_are_told_alike_and_not_often(team: Callable[[], Reader]) -> None:
    reader = team()
    assert isinstance(reader.client.app, FastAPI)
    reader.client.app.state.login_limit = LoginLimit(per_name=2)
    wrong = log_in(reader, "another sentence", 403)
    assert "Name or password is wrong." in wrong
    reader.get("/login")
    assert "Name or password is wrong." in reader.send("/login", status=403, name="nobody", password="x")
    log_in(reader, "another sentence", 403)
    assert "Too many tries" in log_in(reader, status=429)  # even with the right one, and from a new browser
    assert "Too many tries" not in reader.send("/login", status=403, name="ben", password="x")


def test_a_login_leads_to_a_page_of_ours_alone(team: Callable[[], Reader]) -> None:
    for elsewhere in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "x\ny"):
        reader = team()
        reader.get("/login")
        reader.client.follow_redirects = False
        reader.send("/login", status=303, name="ana", password="a short sentence", next=elsewhere)
        assert reader.page is not None
        assert reader.page.headers["location"] == "/"


def test_a_session_ends_with_the_password_and_with_the_account(stage: Stage, team: Callable[[], Reader]) -> None:
    reader = team()
    log_in(reader)
    with stage.platform.catalog.session() as session:
        disable_person(session, "ana")
    assert "Log in" in reader.get("/")
    with stage.platform.catalog.session() as session:
        enable_person(session, "ana")
    assert "You are" in reader.get("/")
    with stage.platform.catalog.session() as session:
        set_password(session, "ana", "another hash")
    assert "Log in" in reader.get("/")


def test_a_made_up_cookie_opens_nothing(team: Callable[[], Reader]) -> None:
    reader = team()
    for value in ("", "x", "WyJhbmEiXQ.abc.def"):
        reader.client.cookies.set(COOKIE, value)
        assert "Log in" in reader.get("/")


def test_the_own_page_has_no_login(ana: Reader) -> None:
    assert "asks for no password" in ana.get("/login", 404)
