"""The night shift: runs that the scheduler and the automations make, with nobody calling anything."""

from typing import Any
from urllib.error import HTTPError

from flows.deployment.deployments import plan_deployments
from tests.stack.conftest import Desk, wait_until

EVERY_SECONDS = 20


def runs_begun_by_the_scheduler(desk: Desk, flow: str) -> list[dict[str, Any]]:
    return [run for run in desk.runs_of(flow) if run["auto_scheduled"] and run["start_time"]]


def test_the_scheduler_makes_runs_of_every_schedule(desk: Desk) -> None:
    """In the minutes after the first start, of every deployment that has one."""
    assert set(desk.planned) == {plan.flow.name for plan in plan_deployments() if plan.schedules}
    assert all(desk.planned.values())


def test_tweets_that_come_in_are_labelled_by_a_run_of_the_scheduler(labelling: Desk) -> None:
    desk = labelling
    before = {run["id"] for run in desk.runs_of("score-tweets")}
    ids = desk.land("by-schedule", 20, 40)
    with desk.schedule("score-tweets", EVERY_SECONDS):
        wait_until(lambda: desk.labels(2, 2).keys() >= set(ids), 300, "labels of what has come in")
        runs = [run for run in runs_begun_by_the_scheduler(desk, "score-tweets") if run["id"] not in before]
        again = desk.land("by-schedule-again", 20, 41)
        wait_until(lambda: desk.labels(2, 2).keys() >= set(again), 300, "labels of what has come in later")
    wait_until(lambda: not desk.busy(), 120, "the end of what the schedule has begun")
    after = [run for run in desk.runs_of("score-tweets") if run["id"] not in before]
    assert runs
    assert all(run["auto_scheduled"] for run in after)  # nobody else has started one
    assert {run["state_type"] for run in after} == {"COMPLETED"}
    assert {desk.labels(2, 2)[number] for number in [*ids, *again]} == {1}


def other_version(desk: Desk) -> int:
    """A version of the text model with class names that is not the champion; it is made where there is none yet."""
    try:
        desk.mlflow("model-versions/get?name=itrp-text-task&version=3")
    except HTTPError:
        decided = len(desk.runs_of("promote-models"))
        desk.run("evaluate-itrp", models=["itrp-text-task/1"], data="labelled", protocol="last")
        wait_until(
            lambda: len(desk.runs_of("promote-models")) > decided and desk.idle(),
            300,
            "the gate's decision on version 3",
        )
    return 2 if desk.champion("text") == 3 else 3


def test_an_alias_moved_unheard_is_noticed_by_the_schedule_and_the_archive_labelled(labelling: Desk) -> None:
    """While the bridge is down nothing tells of it: the schedule of follow-champions, its event, and the automation do."""
    desk = labelling
    other, champion = other_version(desk), desk.champion("text")
    assert champion is not None
    ids = set(desk.labels(champion, 2))
    before = {run["id"] for flow in ("follow-champions", "score-tweets") for run in desk.runs_of(flow)}

    def backfills() -> list[dict[str, Any]]:
        return [run for run in desk.runs_of("score-tweets") if run["id"] not in before]

    bridge = desk.stack.services["bridge"]
    bridge.kill()
    try:
        desk.move_champion("text", other)
        with desk.schedule("follow-champions", EVERY_SECONDS):
            wait_until(lambda: any(run["state_type"] == "COMPLETED" for run in backfills()), 400, "the backfill")
    finally:
        bridge.start()
    followed = [run for run in desk.runs_of("follow-champions") if run["id"] not in before]
    assert any(run["auto_scheduled"] and run["start_time"] for run in followed)
    assert {(run["created_by"]["type"], run["parameters"]["backfill"]) for run in backfills()} == {("AUTOMATION", True)}
    assert desk.labels(other, 2).keys() >= ids
    desk.move_champion("text", champion)
    wait_until(desk.idle, 400, "the roll-back")
