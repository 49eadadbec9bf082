"""The page opened from settings: where it listens, who sits there, and the index that is kept up."""

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from flows.platform import open_platform
from infra.catalog.people import find_person
from infra.errors import ReviewError
from infra.settings import Settings
from itrp.errors import WrongUseError
from serving.review.access import AccountAccess, OwnAccess
from serving.review.accounts import Accounts
from serving.review.index_keeper import IndexKeeper
from serving.review.seal import FORM, SESSION, Seal, keep_secret
from serving.review.server import open_desk, open_place
from tests.review_stage import Stage

SECRET = SecretStr("a secret of tests that is long enough")


def test_a_page_without_passwords_listens_to_this_machine_alone(tmp_path: Path) -> None:
    settings = Settings(work_dir=tmp_path)
    with pytest.raises(
        WrongUseError, match=r"expected --host 127\.0\.0\.1 .* found 0\.0\.0\.0: set ITRP_REVIEW_SECRET"
    ):
        open_place(settings, "0.0.0.0", 0)
    place = open_place(settings, "127.0.0.1", 0)
    port = place.socket.getsockname()[1]
    assert place.addresses == tuple(f"http://{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))
    with pytest.raises(WrongUseError, match=f"expected a free port at 127.0.0.1, found {port} .*--port"):
        open_place(settings, "127.0.0.1", port)
    with pytest.raises(WrongUseError, match=r"expected a free port at .* found 99999"):
        open_place(settings, "127.0.0.1", 99_999)
    place.socket.close()


def test_a_page_with_passwords_answers_under_the_name_it_was_given(tmp_path: Path) -> None:
    settings = Settings(work_dir=tmp_path, review_secret=SECRET, review_url="https://review.example.org/")
    place = open_place(settings, "0.0.0.0", 0)
    assert place.addresses == ("https://review.example.org",)
    place.socket.close()


def test_the_settings_decide_how_people_come_in(stage: Stage) -> None:
    platform = stage.platform
    keeper = IndexKeeper(platform.catalog, platform.store)

    def open_with(settings: Settings) -> OwnAccess | AccountAccess:
        desk = open_desk(
            settings, platform.catalog, platform.store, keeper, person="eva", address="https://review.example.org"
        )
        assert isinstance(desk.access, OwnAccess | AccountAccess)
        return desk.access

    own = open_with(platform.settings)
    assert own == OwnAccess("eva")
    with platform.catalog.session() as session:
        assert find_person(session, "eva") is not None
    team = open_with(platform.settings.model_copy(update={"review_secret": SECRET}))
    assert isinstance(team, AccountAccess)
    assert team.secure


def test_a_secret_is_drawn_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "review-secret"
    secret = keep_secret(file)
    assert keep_secret(file) == secret
    assert len(secret) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_signature_holds_for_its_purpose_its_secret_and_its_time() -> None:
    seal = Seal("one")
    signed = seal.sign(SESSION, ["ana"])
    found = seal.read(SESSION, signed)
    assert found is not None
    assert found[0] == ["ana"]
    assert seal.read(FORM, signed) is None
    assert Seal("two").read(SESSION, signed) is None
    assert seal.read(SESSION, signed + "x") is None
    assert seal.read(SESSION, signed, max_age=-1) is None


def test_a_short_secret_is_no_secret() -> None:
    with pytest.raises(ValueError, match="expected 32 characters or more"):
        Settings(review_secret=SecretStr("short"))


def test_accounts_are_added_once_with_a_password_of_some_length(stage: Stage) -> None:
    accounts = Accounts(stage.platform.catalog)
    with pytest.raises(WrongUseError, match="expected a password of 12 to 256 characters, found 5"):
        accounts.add("ana", "short")
    accounts.add("ana", "a short sentence")
    assert str(accounts.find_hash("ana")).startswith("$argon2id$")
    assert accounts.check("ana", "a short sentence")
    assert not accounts.check("ana", "another sentence")
    assert not accounts.check("nobody", "a short sentence")
    with pytest.raises(ReviewError, match="expected a new name, found 'ana'"):
        accounts.add("ana", "a short sentence")


def test_the_index_is_kept_up_and_says_how_far_it_is(built_stage: Stage, tmp_path: Path) -> None:
    platform = open_platform(Settings(work_dir=tmp_path / "work"))
    keeper = IndexKeeper(platform.catalog, platform.store, every=0.01)
    assert keeper.state.updated_at is None
    keeper.start()
    report = keeper.update()
    assert report is not None
    assert report.tweets == 0
    keeper.stop()
    assert keeper.state.updated_at is not None
    assert keeper.state.problem == ""
    platform.catalog.dispose()


def test_an_index_that_cannot_be_updated_is_told_and_tried_again(stage: Stage) -> None:
    platform = stage.platform
    with platform.catalog.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE indexed_shard RENAME TO away")
    keeper = IndexKeeper(platform.catalog, platform.store)
    assert keeper.update() is None
    assert "did not answer" in keeper.state.problem
    with platform.catalog.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO indexed_shard")
    assert keeper.update() is not None
    assert keeper.state.problem == ""
