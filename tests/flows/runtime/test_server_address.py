"""Whether a Prefect server is configured, told without Prefect: the same as Prefect itself reads from the same places."""

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from flows.runtime import server_address
from infra.errors import SettingsError

PROFILES = """
active = "mine"
[profiles.mine]
PREFECT_API_URL = "http://mine/api"
[profiles.other]
PREFECT_API_URL = "http://other/api"
[profiles.bare]
"""
PYPROJECT = '[tool.prefect.api]\nurl = "http://pyproject/api"\n'
CASES: dict[str, tuple[dict[str, str], dict[str, str], str | None]] = {
    "nothing": ({}, {}, None),
    "environment": ({"PREFECT_API_URL": "http://there/api"}, {"home/profiles.toml": PROFILES}, "http://there/api"),
    "set to nothing": ({"PREFECT_API_URL": ""}, {"home/profiles.toml": PROFILES}, None),
    "active profile": ({}, {"home/profiles.toml": PROFILES}, "http://mine/api"),
    "named profile": ({"PREFECT_PROFILE": "other"}, {"home/profiles.toml": PROFILES}, "http://other/api"),
    "profile without": ({"PREFECT_PROFILE": "bare"}, {"home/profiles.toml": PROFILES}, None),
    "no such profile": ({"PREFECT_PROFILE": "gone"}, {"home/profiles.toml": PROFILES}, None),
    "no profile active": ({}, {"home/profiles.toml": PROFILES.replace("active", "passive")}, None),
    "profiles elsewhere": ({"PREFECT_PROFILES_PATH": "p.toml"}, {"p.toml": PROFILES}, "http://mine/api"),
    "profiles named in a file": ({}, {"prefect.toml": 'profiles_path = "p.toml"', "p.toml": PROFILES}, "http://mine/api"),
    "broken profiles": ({}, {"home/profiles.toml": "active = ["}, None),
    ".env": ({}, {".env": "PREFECT_API_URL=http://dotenv/api\n", "pyproject.toml": PYPROJECT}, "http://dotenv/api"),
    "prefect.toml": (
        {}, {"prefect.toml": '[api]\nurl = "http://toml/api"', "pyproject.toml": PYPROJECT}, "http://toml/api",
    ),
    "pyproject.toml": ({}, {"pyproject.toml": PYPROJECT, "home/profiles.toml": PROFILES}, "http://pyproject/api"),
}  # fmt: skip


@pytest.mark.parametrize(("variables", "files", "address"), CASES.values(), ids=CASES)
def test_the_address_is_the_one_prefect_reads(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    files: dict[str, str],
    address: str | None,
) -> None:
    from prefect.settings.models.api import APISettings

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with warnings.catch_warnings(action="ignore"):  # of broken profiles
        assert (APISettings().url or None) == address
    monkeypatch.delitem(sys.modules, "prefect")
    assert server_address.find_server() == address


def test_a_file_that_is_no_toml_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "prefect", raising=False)
    (tmp_path / "prefect.toml").write_text("api = [")
    with pytest.raises(SettingsError, match=r"^prefect.toml: expected TOML with Prefect's settings, found: "):
        server_address.find_server()


def test_where_prefect_is_loaded_it_is_asked() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://loaded/api"}):
        assert server_address.find_server() == "http://loaded/api"
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert server_address.find_server() is None


def test_the_answer_costs_no_prefect() -> None:
    code = "import sys; from flows.runtime.server_address import find_server; find_server(); print('prefect' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
