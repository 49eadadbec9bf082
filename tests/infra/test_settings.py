"""The settings: defaults, the environment, and one readable line for each mistake."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.errors import SettingsError
from infra.settings import Settings, load_settings

S3_URL = "s3://tweets?endpoint=http://127.0.0.1:9000"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ITRP_{name.upper()}", raising=False)


def test_the_defaults_lie_in_the_work_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    settings = load_settings()
    assert settings.work_dir == Path("/home/somebody/.itrp")
    assert settings.object_store_url == "file:///home/somebody/.itrp/objects"
    assert settings.catalog_url == "sqlite:////home/somebody/.itrp/catalog.db"
    assert settings.mlflow_uri == "sqlite:////home/somebody/.itrp/mlflow.db"
    assert settings.cache_dir == Path("/home/somebody/.itrp/cache")
    assert settings.device == "auto"
    assert settings.object_store_access_key is settings.object_store_secret_key is None


def test_the_work_dir_moves_the_defaults_and_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ITRP_WORK_DIR", "with space")
    settings = load_settings()
    assert settings.work_dir == tmp_path / "with space"
    assert settings.object_store_url == f"file://{tmp_path}/with%20space/objects"
    assert settings.catalog_url == f"sqlite:///{tmp_path}/with space/catalog.db"


def test_the_environment_sets_and_arguments_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITRP_OBJECT_STORE_URL", S3_URL)
    monkeypatch.setenv("ITRP_OBJECT_STORE_ACCESS_KEY", "access")
    monkeypatch.setenv("ITRP_OBJECT_STORE_SECRET_KEY", "geheim")
    monkeypatch.setenv("ITRP_CATALOG_URL", "postgresql://itrp@db/itrp")
    monkeypatch.setenv("ITRP_MLFLOW_URI", "http://mlflow:5000")
    monkeypatch.setenv("ITRP_DEVICE", "cuda:1")
    settings = load_settings(device="cpu", catalog_url=None)
    assert settings.object_store_url == S3_URL
    assert settings.object_store_secret_key is not None
    assert settings.object_store_secret_key.get_secret_value() == "geheim"
    assert settings.catalog_url == "postgresql://itrp@db/itrp"
    assert settings.mlflow_uri == "http://mlflow:5000"
    assert settings.device == "cpu"


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITRP_DEVICE", "")
    monkeypatch.setenv("ITRP_OBJECT_STORE_ACCESS_KEY", "")
    assert load_settings().device == "auto"
    assert load_settings().object_store_access_key is None


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().device = "cpu"  # type: ignore[misc]


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices(device: str) -> None:
    assert load_settings(device=device).device == device


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("device", "gpu", "ITRP_DEVICE: expected auto, cpu, cuda or cuda:N, found 'gpu'"),
        ("device", "cuda:", "ITRP_DEVICE: expected auto, cpu, cuda or cuda:N, found 'cuda:'"),
        ("object_store_url", "/srv/objects", "ITRP_OBJECT_STORE_URL: expected file:///folder or s3://bucket"),
        (
            "object_store_url",
            S3_URL,
            "ITRP_OBJECT_STORE_ACCESS_KEY: expected a key for the S3 server, found none",
        ),
        (
            "catalog_url",
            "mysql://db/itrp",
            "ITRP_CATALOG_URL: expected sqlite:////folder/file.db or postgresql",
        ),
        ("catalog_url", "catalog.db", "found no URL"),
        (
            "mlflow_uri",
            "localhost",
            "ITRP_MLFLOW_URI: expected http://host:port or sqlite:////folder/file.db, found no URL",
        ),
        ("mlflow_uri", "file:///srv/mlruns", "ITRP_MLFLOW_URI: expected http://host:port or sqlite:////folder/file.db"),
        ("device", "cuda:99999999", "ITRP_DEVICE: expected auto, cpu, cuda or cuda:N, found 'cuda:99999999'"),
        ("device", "cuda:٣", "ITRP_DEVICE: expected auto, cpu, cuda or cuda:N, found"),
        ("quarantine_alert", "0", "ITRP_QUARANTINE_ALERT: Input should be greater than or equal to 1"),
        ("quarantine_alert", "-5", "ITRP_QUARANTINE_ALERT: Input should be greater than or equal to 1"),
        ("quarantine_alert", "true", "ITRP_QUARANTINE_ALERT: Input should be a valid integer"),
        ("quarantine_alert", "9" * 5000, "ITRP_QUARANTINE_ALERT: "),
        ("precision", "fp8", "ITRP_PRECISION: Input should be 'auto', 'fp32', 'bf16', 'openvino' or 'int8'"),
        ("compiled", "perhaps", "ITRP_COMPILED: Input should be a valid boolean"),
        ("mlflow_uri", "http://", "ITRP_MLFLOW_URI: expected a host, and a port from 1 to 65535"),
        ("mlflow_uri", "http://mlflow:99999", "ITRP_MLFLOW_URI: expected a host, and a port from 1 to 65535"),
        (
            "catalog_url",
            "postgresql://u:secret@db/a\nb",
            "ITRP_CATALOG_URL: expected printable characters, found others",
        ),
        ("bridge_url", "bridge:4300", "ITRP_BRIDGE_URL: expected http://host:port, found no URL"),
        ("bridge_url", "http://[::1", "ITRP_BRIDGE_URL: expected a host, and a port from 1 to 65535"),
        ("mlflow_page_url", "ftp://mlflow", "ITRP_MLFLOW_PAGE_URL: expected http://host:port, found ftp"),
        ("notify_url", "me@example.org", "ITRP_NOTIFY_URL: expected an Apprise URL such as mailto://"),
        ("work_dir", "/srv/what?", "ITRP_WORK_DIR: expected a folder whose name holds none of ? # %"),
        ("work_dir", "~no-such-user/x", "ITRP_WORK_DIR: expected a folder, found a home directory"),
    ],
)
def test_a_wrong_value_gives_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    monkeypatch.setenv(f"ITRP_{name.upper()}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_setting_that_does_not_exist() -> None:
    with pytest.raises(SettingsError, match="ITRP_COLOUR: no such setting; there are work_dir, object_store_url"):
        load_settings(colour="red")


def test_two_mistakes_stand_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITRP_WORK_DIR", "/a#b")
    monkeypatch.setenv("ITRP_DEVICE", "x")
    with pytest.raises(SettingsError, match=r"^ITRP_WORK_DIR: [^;]*; ITRP_DEVICE: [^;]*$"):
        load_settings()


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITRP_OBJECT_STORE_SECRET_KEY", "geheim-1")
    monkeypatch.setenv("ITRP_OBJECT_STORE_ACCESS_KEY", "geheim-2")
    monkeypatch.setenv("ITRP_CATALOG_URL", "postgresql://itrp:geheim%2F3@db/itrp")
    monkeypatch.setenv("ITRP_MLFLOW_URI", "http://itrp:geheim-4@mlflow")
    settings = load_settings()
    assert "geheim" not in repr(settings) + str(settings)
    assert settings.secrets == ("geheim-2", "geheim-1", "geheim%2F3", "geheim/3", "geheim-4")
    for name, value in (("CATALOG_URL", "mysql://u:geheim@db"), ("OBJECT_STORE_URL", "s3://u:geheim@tweets")):
        monkeypatch.setenv(f"ITRP_{name}", value)
        with pytest.raises(SettingsError) as caught:
            load_settings()
        assert "geheim" not in str(caught.value)


def test_importing_the_settings_imports_no_client() -> None:
    probe = "import infra.settings, sys; print({'sqlalchemy', 'minio', 'alembic'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_secrets_of_other_libraries_are_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:geheim")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "noch eins")
    assert {"geheim", "admin:geheim", "noch eins"} <= set(load_settings(work_dir=tmp_path).secrets)
