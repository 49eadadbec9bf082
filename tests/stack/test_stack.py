"""The production stack end to end, with real servers: trained, promoted in the registry, scored by the README's command.

Every tweet is labelled exactly once, whatever is killed meanwhile. Each test goes on where the one before it ended.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from flows.deployment.automations import SILENCE_SECONDS, UNSERVED_SECONDS
from flows.jobs.ingestion import ingest_landing
from infra.catalog.tables import LabelFile, Shard
from infra.stack.postgres import connect
from tests.stack.conftest import Desk, ask, wait_until

SHARDS, PAIRS = 3, 150
"""What is scored while something is killed."""


def test_a_moved_alias_is_noticed_and_the_archive_labelled(trained: Desk) -> None:
    desk = trained
    wait_until(lambda: len(desk.runs_of("promote-models")) == 2, 120, "the gate, asked by event of each named version")
    for task in ("text", "image"):
        desk.move_champion(task, 2)
    wait_until(lambda: len(backfills_of(desk)) == 2 and desk.idle(), 300, "backfills after the moved aliases")

    events = desk.prefect("events/filter", {"filter": {"event": {"name": ["itrp.champion.moved"]}}})["events"]
    assert sorted(event["payload"]["task"] for event in events) == ["image", "text"]
    assert {run["created_by"]["type"] for run in [*backfills_of(desk), *desk.runs_of("promote-models")]} == {
        "AUTOMATION"
    }
    labels = desk.labels(2, 2)
    assert len(labels) == 60
    assert set(labels.values()) == {1}
    with desk.catalog.session() as session:
        assert session.scalar(select(func.sum(LabelFile.pairs))) == 60
    artifacts = desk.prefect("artifacts/latest/filter", {"limit": 200})
    keys = {artifact["key"] for artifact in artifacts}
    assert {"champion-text", "champion-image", "flips-text", "label-counts", "labelled-tweets", "model-text"} <= keys


def test_the_command_of_the_readme_labels_what_is_new(trained: Desk) -> None:
    desk = trained
    ids = desk.land("second", 20, 4)
    desk.command("prefect", "deployment", "run", "score-tweets", "--watch")
    (*_, run) = desk.runs_of("score-tweets")
    assert run["state_type"] == "COMPLETED"
    assert run["name"].endswith("1 shards")
    labels = desk.labels(2, 2)
    assert all(labels[number] == 1 for number in ids)
    again = desk.wait_for(desk.start_as_typed("score-tweets/score-tweets"), "COMPLETED")
    assert again["name"].endswith("0 shards")
    assert desk.labels(2, 2) == labels


def land_shards(desk: Desk, name: str, seed: int, shards: int = SHARDS) -> list[str]:
    """Tweets in several shards, ingested and not yet labelled: smaller shards than the deployment would make of them."""
    ids = [number for part in range(shards) for number in desk.land(f"{name}-{part}", PAIRS, seed + part)]
    assert ingest_landing(desk.store, desk.catalog, shard_size=PAIRS).shards == shards
    return ids


def count_labelled(desk: Desk) -> int:
    with desk.catalog.session() as session:
        return session.scalar(select(func.count(LabelFile.id))) or 0


def start_and_wait_for_a_label(desk: Desk, **parameters: Any) -> str:
    """Start scoring; returns in the middle of it, the first shard labelled and others to come."""
    before = count_labelled(desk)
    run = desk.start("score-tweets", **parameters)
    wait_until(lambda: count_labelled(desk) > before, 180, "the first labelled shard")
    assert desk.flow_run(run)["state_type"] == "RUNNING"
    return run


def assert_labelled_once(desk: Desk, ids: list[str], text: int = 2, image: int = 2) -> None:
    labels = desk.labels(text, image)
    assert Counter(labels[number] for number in ids) == {1: len(ids)}
    with desk.catalog.session() as session:
        rows = session.execute(
            select(Shard.id, func.count(LabelFile.id))
            .join(LabelFile, LabelFile.shard_id == Shard.id)
            .where(LabelFile.text_version == str(text), LabelFile.image_version == str(image))
            .group_by(Shard.id)
        ).all()
    assert {count for _, count in rows} == {1}


def test_a_worker_killed_in_mid_scoring_is_noticed_and_nothing_is_labelled_twice(trained: Desk) -> None:
    desk = trained
    ids = land_shards(desk, "killed", 100)
    run = start_and_wait_for_a_label(desk)
    desk.stack.services["worker-cpu"].kill()
    killed = time.monotonic()
    done = count_labelled(desk)
    late = desk.flow_run(desk.start("ingest-tweets"))["name"]  # which nobody takes
    wait_until(lambda: desk.flow_run(run)["state_type"] == "CRASHED", SILENCE_SECONDS + 60, "the zombie's end")
    print(f"marked as crashed {time.monotonic() - killed:.0f} s after the kill, {done} shards labelled by then")

    wait_until(lambda: any("Crashed" in told for told in desk.notified), 60, "the notification of the crash")
    wait_until(
        lambda: any(f"{late} is late" in told for told in desk.notified),
        UNSERVED_SECONDS + 120,
        "the alarm of the late run",
    )

    desk.stack.start_worker("cpu")
    again = desk.run("score-tweets")
    assert again["name"].split()[1] != "0"
    assert_labelled_once(desk, ids)


@pytest.mark.parametrize(("service", "seed"), [("seaweedfs", 200), ("postgres", 300)])
def test_a_server_that_is_away_for_a_while_costs_time_and_nothing_else(trained: Desk, service: str, seed: int) -> None:
    desk = trained
    ids = land_shards(desk, service, seed)
    run = start_and_wait_for_a_label(desk)
    server = desk.stack.services[service]
    if service == "seaweedfs":
        server.kill()
        time.sleep(20)
    else:
        server.stop()
    server.start()
    desk.wait_for(run, "COMPLETED", 600)
    assert_labelled_once(desk, ids)


def test_an_alias_moved_in_mid_scoring_changes_nothing_in_that_run(trained: Desk) -> None:
    desk = trained
    desk.run(
        "evaluate-itrp", models=["itrp-text-task/1"], data="labelled", protocol="last"
    )  # version 3, told to the gate
    wait_until(
        lambda: len(desk.runs_of("promote-models")) == 3 and desk.idle(), 300, "the gate's decision on version 3"
    )
    pinned = desk.champion("text")
    other = {2: 3, 3: 2}[pinned]
    ids = land_shards(desk, "moved", 400)
    run = start_and_wait_for_a_label(desk)
    desk.move_champion("text", other)
    desk.wait_for(run, "COMPLETED")
    assert_labelled_once(desk, ids, text=pinned)  # the pinned pair, to the end

    wait_until(lambda: desk.labels(other, 2).keys() >= set(ids), 400, "the backfill of the new pair")
    assert_labelled_once(desk, ids, text=other)
    wait_until(desk.idle, 120, "the end of the backfill")
    backfills = len(backfills_of(desk))

    desk.move_champion("text", pinned)  # roll back
    wait_until(lambda: len(backfills_of(desk)) > backfills and desk.idle(), 200, "the roll-back's backfill")
    assert_labelled_once(desk, ids, text=pinned)
    assert desk.labels(pinned, 2).keys() == desk.labels(other, 2).keys()


def backfills_of(desk: Desk) -> list[dict[str, Any]]:
    return [run for run in desk.runs_of("score-tweets") if run["parameters"].get("backfill")]


def test_a_quarantine_that_grows_fast_is_told_of(trained: Desk) -> None:
    desk = trained
    lines = [json.dumps({"id": f"bad-{number}", "text": "no picture", "image": "none.jpg"}) for number in range(6)]
    desk.store.put("landing/bad/batch.jsonl", "\n".join(lines).encode())
    desk.run("ingest-tweets")
    wait_until(lambda: any("6 of 6 tweets were rejected" in told for told in desk.notified), 60, "the notification")


def test_nobody_gets_in_without_a_password(trained: Desk) -> None:
    desk, environment = trained, trained.stack.environment
    for url in (
        f"{environment['PREFECT_API_URL']}/deployments/count",
        f"{environment['ITRP_MLFLOW_URI']}/api/2.0/mlflow/experiments/search",
    ):
        assert rejected(lambda url=url: ask(url, "admin:wrong", {"max_results": 1}))
    unsigned = {"entity": "model_version_alias", "data": {"name": "itrp-text-task", "alias": "champion"}}
    runs = len(desk.runs_of("follow-champions"))
    assert rejected(lambda: ask(f"{environment['ITRP_BRIDGE_URL']}/mlflow", "nobody:nothing", unsigned))
    assert len(desk.runs_of("follow-champions")) == runs


def rejected(call: Callable[[], object]) -> bool:
    from urllib.error import HTTPError

    try:
        call()
    except HTTPError as error:
        return error.code == 401
    return False


def test_workers_keys_open_their_own_bucket_alone(trained: Desk) -> None:
    from infra.errors import StoreError
    from infra.object_store import open_store

    environment = trained.stack.environment
    keys = (environment["ITRP_OBJECT_STORE_ACCESS_KEY"], environment["ITRP_OBJECT_STORE_SECRET_KEY"])
    other = open_store(environment["ITRP_OBJECT_STORE_URL"].replace("s3://tweets", "s3://mlflow"), *keys)
    with pytest.raises(StoreError, match="rejected the keys"):
        list(other.list(""))


def test_no_log_holds_a_secret(trained: Desk) -> None:
    """Files of all servers and workers, and what Prefect keeps in its database and shows in its page."""
    desk = trained
    kept: dict[str, str] = {path.name: path.read_text(errors="replace") for path in desk.stack.logs.iterdir()}
    page = {"limit": 200}
    logs, offset = [], 0
    while found := desk.prefect("logs/filter", {**page, "offset": offset}):
        logs += found
        offset += len(found)
    kept["logs"] = json.dumps(logs)
    for what in ("flow_runs", "task_runs", "deployments", "work_pools", "artifacts", "automations"):
        kept[what] = json.dumps(desk.prefect(f"{what}/filter", page))
    kept["experiments"] = json.dumps(desk.mlflow("runs/search", {"experiment_ids": ["1"], "max_results": 100}))
    assert len(logs) > 50
    assert all(
        len(text) > 2 for name, text in kept.items() if name in ("worker-cpu.log", "mlflow.log", "prefect.log", "logs")
    )
    found = [
        (name, index)
        for name, text in kept.items()
        for index, secret in enumerate(desk.stack.secrets.values)
        if secret in text
    ]
    assert not found, "index of the secret among Secrets.values, by where it stands"


def test_the_stack_comes_back_as_it_was(trained: Desk) -> None:
    """Stopped and started again: the same labels, schedules kept, `itrp deploy` once more changes nothing."""
    desk = trained
    before, names = desk.labels(2, 2), {each["name"] for each in desk.prefect("deployments/filter", {})}
    ids = {each["id"] for each in desk.prefect("automations/filter", {})}
    desk.stack.stop()
    assert not any(service.running for service in desk.stack.services.values())
    desk.stack.start()
    assert desk.labels(2, 2) == before
    deployments = desk.prefect("deployments/filter", {})
    assert {each["name"] for each in deployments} == names
    assert not any(schedule["active"] for each in deployments for schedule in each["schedules"])  # as they were left
    assert {each["id"] for each in desk.prefect("automations/filter", {})} == ids
    with connect(desk.stack.ports.postgres, "itrp", desk.stack.secrets.catalog_password, "itrp") as server:
        count = server.execute("SELECT count(*) FROM label_file").fetchone()
    assert count is not None
    assert count[0] == count_labelled(desk)
