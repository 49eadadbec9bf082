"""One work folder of synthetic tweets a session, a copy of it a test, and the real app over it; the catalog on both databases."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from playwright.sync_api import Browser

from flows.platform import Platform, open_platform
from infra.catalog.people import find_or_add_person
from infra.settings import Settings
from serving.review.access import Access, AccountAccess, OwnAccess
from serving.review.accounts import Accounts
from serving.review.app import make_app
from serving.review.desk import Desk
from serving.review.index_keeper import IndexKeeper
from serving.review.pictures import Pictures
from serving.review.rendering import make_environment
from serving.review.seal import Seal
from tests.infra.conftest import catalog, fresh_url, postgres_url  # noqa: F401
from tests.review_browser import PageServer, open_browser
from tests.review_stage import Stage, build_stage

ADDRESS = "http://127.0.0.1:4400"
SEAL = Seal("a secret of tests that is long enough")


@pytest.fixture(scope="session")
def built_stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Only to be read: whoever labels takes `stage`."""
    return build_stage(tmp_path_factory.mktemp("review"))


@pytest.fixture
def stage(built_stage: Stage, tmp_path: Path) -> Iterator[Stage]:
    """A copy of the session's work folder: objects are hard links, the catalog is copied."""
    source, folder = built_stage.platform.settings.work_dir, tmp_path / "work"
    shutil.copytree(source / "objects", folder / "objects", copy_function=shutil.copy2)
    with sqlite3.connect(source / "catalog.db") as old, sqlite3.connect(folder / "catalog.db") as new:
        old.backup(new)
    platform = open_platform(Settings(work_dir=folder, device="cpu"))
    yield Stage(platform, built_stage.truth)
    platform.catalog.dispose()


@dataclass
class Reader:
    """Somebody at the page: asks for pages, fills in forms and sends them, as a browser without a script does."""

    client: TestClient
    page: Response | None = field(default=None)

    def get(self, address: str, status: int = 200) -> str:
        """Open a page (redirects are followed) and return its HTML."""
        self.page = self.client.get(address)
        assert self.page.status_code == status, self.page.text[:2000]
        return self.page.text

    def send(self, action: str, /, status: int = 200, **fields: str) -> str:
        """Send the form of this page that goes to an address ending like `action`, with these fields changed."""
        assert self.page is not None
        forms = read_forms(self.page.text)
        address = next(each for each in forms if each.split("?")[0].endswith(action))
        return self.post(address, {**forms[address], **fields}, status)

    def post(self, address: str, fields: dict[str, str], status: int = 200) -> str:
        """Send a form."""
        self.page = self.client.post(address, data=fields)
        assert self.page.status_code == status, self.page.text[:2000]
        return self.page.text

    @property
    def path(self) -> str:
        """Where one is now."""
        assert self.page is not None
        return self.page.url.path


def read_forms(html: str) -> dict[str, dict[str, str]]:
    """Address of each form that is posted -> its hidden fields."""
    forms = re.findall(r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', html, re.DOTALL)
    hidden = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
    return {unescape(action): {name: unescape(value) for name, value in hidden.findall(body)} for action, body in forms}


def make_desk(platform: Platform, access: Access, people: int = 2) -> Desk:
    return Desk(
        catalog=platform.catalog,
        pictures=Pictures(platform.store, platform.settings.cache_dir),
        access=access,
        seal=SEAL,
        templates=make_environment(),
        keeper=IndexKeeper(platform.catalog, platform.store),
        people=people,
    )


@pytest.fixture
def sit_down(stage: Stage) -> Callable[[str], Reader]:
    """`sit_down(name)`: the page of one person on her own machine."""

    def sit(person: str) -> Reader:
        with stage.platform.catalog.session() as session:
            find_or_add_person(session, person)
        app = make_app(make_desk(stage.platform, OwnAccess(person)), (ADDRESS,))
        return Reader(TestClient(app, base_url=ADDRESS))

    return sit


@pytest.fixture
def ana(sit_down: Callable[[str], Reader]) -> Reader:
    return sit_down("ana")


@pytest.fixture
def team(stage: Stage) -> Callable[[], Reader]:
    """`team()`: a browser before the page that asks for passwords. There is the account ana."""
    accounts = Accounts(stage.platform.catalog)
    accounts.add("ana", "a short sentence")
    app = make_app(make_desk(stage.platform, AccountAccess(accounts, SEAL, secure=False)), (ADDRESS,))
    return lambda: Reader(TestClient(app, base_url=ADDRESS))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as found:
        yield found


@pytest.fixture
def serve(stage: Stage) -> Iterator[Callable[..., PageServer]]:
    """`serve(person)`, or `serve(settings=TEAM)`: the page of the stage's work folder, started."""
    servers: list[PageServer] = []

    def start(person: str = "ana", settings: dict[str, str] | None = None) -> PageServer:
        server = PageServer(stage.platform.settings.work_dir, person, settings)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.kill()
