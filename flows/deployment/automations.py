"""Prefect's automations: what is done when something happens, or stops happening."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from prefect.blocks.notifications import SlackWebhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture, ResourceSpecification

from flows.deployment.deployments import group_by_pool
from flows.jobs.datasets import REVIEWED
from flows.runtime.events import (
    ALERT_LABEL,
    ATTENTION_NEEDED,
    BACKFILL_LABEL,
    CHAMPION_MOVED,
    LABELS_BEHIND,
    LABELS_HUNDRED,
    MAPPED_LABEL,
    MEASURABLE_LABELS,
    MODEL_REGISTERED,
    QUARANTINE_GREW,
    TRAINABLE_LABEL,
    TWEETS_SET_ASIDE,
)
from itrp.labels import Task
from serving.registry import CHAMPION, MODEL_NAMES

HEARTBEAT_SECONDS = 30
"""How often a run says that it is alive: PREFECT_FLOWS_HEARTBEAT_FREQUENCY of every worker."""
SILENCE_SECONDS = 5 * HEARTBEAT_SECONDS
"""A run that has said nothing for so long is dead. Prefect's server hears nothing while it is down: with one heartbeat before,
one until the next after, and its start, three are not enough for a restart of 40 s, and a living run would be called dead."""
UNSERVED_SECONDS = 120
"""A late run is an alarm when nothing of its pool has moved for so long since."""
SILENT_HOURS = 26
"""Scoring runs every hour, and a backfill may take a day (the time limit of the flow) in which no run ends."""
NOTIFY_BLOCK = "itrp-notify"
FORMER_NAMES = {"itrp: a run failed or crashed": "itrp: a run failed, crashed or is late"}
"""What earlier versions called an automation: it is replaced like one of the same name."""

ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed", "TimedOut")}
HEARTBEAT = "prefect.flow-run.heartbeat"
LATE = "prefect.flow-run.Late"
MOVES = {HEARTBEAT, *(f"prefect.flow-run.{state}" for state in ("AwaitingConcurrencySlot", "Pending", "Running"))}
"""What shows that a pool has a worker: one of its runs is under way, begins, or was told by the worker to wait for its turn."""
ANY_RUN = ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"})
SCORING = ResourceSpecification({"prefect.resource.role": "flow", "prefect.resource.name": "score-tweets"})
OUR_RUNS = ResourceSpecification({"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.itrp"})


def apply_automations(deployments: Mapping[str, UUID], notify_url: str | None) -> list[str]:
    """Put the automations on the Prefect server; those of these names are replaced. Returns the names.

    `notify_url`: an Apprise URL; without one nobody is notified.
    """
    planned = [*plan_automations(deployments)]
    if notify_url:
        planned += plan_notifications(_save_notifier(notify_url), group_by_pool(deployments))
    with get_client(sync_client=True) as client:
        there = {found.name: found for found in client.read_automations()}
        for automation in planned:
            known = there.get(automation.name) or there.get(FORMER_NAMES.get(automation.name, ""))
            if known is None:
                client.create_automation(automation)
            else:
                # what a person has switched off in the page stays off
                client.update_automation(known.id, automation.model_copy(update={"enabled": known.enabled}))
    return [automation.name for automation in planned]


def plan_automations(deployments: Mapping[str, UUID]) -> Iterator[AutomationCore]:
    """Backfill, promotion, what new labels start, and zombies."""
    yield AutomationCore(
        name="itrp: a new champion labels the archive",
        description="follow-champions has found that the alias moved, or that the pair is behind and nobody scores: every "
        "shard gets labels of the new pair.",
        trigger=EventTrigger(
            expect={CHAMPION_MOVED, LABELS_BEHIND},
            match=ResourceSpecification({BACKFILL_LABEL: "yes"}),
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[RunDeployment(deployment_id=deployments["score-tweets"], parameters={"backfill": True})],
    )
    yield AutomationCore(
        name="itrp: a named challenger goes to the gate",
        description="A new version has class names for its clusters: promote it if it beats the champion.",
        trigger=EventTrigger(
            expect={MODEL_REGISTERED}, match=ResourceSpecification({MAPPED_LABEL: "yes"}), posture=Posture.Reactive,
            threshold=1, within=timedelta(0),
        ),
        actions=[
            RunDeployment(deployment_id=deployments["promote-models"], parameters={"task": "{{ event.payload.task }}"})
        ],
    )  # fmt: skip
    yield from _use_labels(deployments)
    yield AutomationCore(
        name="itrp: a run without a heartbeat has crashed",
        description=f"Its worker or machine died. Heartbeats come every {HEARTBEAT_SECONDS} s "
        "(PREFECT_FLOWS_HEARTBEAT_FREQUENCY); the next run continues where it stopped.",
        trigger=EventTrigger(
            after={HEARTBEAT}, expect={HEARTBEAT, *ENDED}, match=ANY_RUN, for_each={"prefect.resource.id"},
            posture=Posture.Proactive, threshold=1, within=timedelta(seconds=SILENCE_SECONDS),
        ),
        actions=[
            ChangeFlowRunState(state=StateType.CRASHED, message=f"no heartbeat for {SILENCE_SECONDS} s: its worker died")
        ],
    )  # fmt: skip


def _use_labels(deployments: Mapping[str, UUID]) -> Iterator[AutomationCore]:
    """What every new hundred of people's labels start. The head that is trained goes to the gate as any named challenger."""
    measured = [
        (
            f"itrp: a hundred new labels measure the {task} champion", label, "evaluate-itrp",
            {"models": [f"{MODEL_NAMES[Task(task)]}@{CHAMPION}"], "data": REVIEWED},
        )
        for task, label in MEASURABLE_LABELS.items()
    ]  # fmt: skip
    head = {"experiment": "labelled-head", "data": REVIEWED}
    for name, label, deployment, parameters in (
        *measured,
        ("itrp: a hundred new labels train a head", TRAINABLE_LABEL, "train-itrp", head),
    ):
        yield AutomationCore(
            name=name,
            description="follow-labels has counted another hundred tweets that people have labelled.",
            trigger=EventTrigger(
                expect={LABELS_HUNDRED}, match=ResourceSpecification({label: "yes"}), posture=Posture.Reactive,
                threshold=1, within=timedelta(0),
            ),
            actions=[RunDeployment(deployment_id=deployments[deployment], parameters=parameters)],
        )  # fmt: skip


def plan_notifications(block: UUID, pools: Mapping[str, Sequence[UUID]]) -> Iterator[AutomationCore]:
    """Who should know of what. `pools`: the deployments of each work pool."""
    yield AutomationCore(
        name="itrp: many tweets were quarantined",
        trigger=EventTrigger(
            expect={QUARANTINE_GREW}, match=ResourceSpecification({ALERT_LABEL: "yes"}), posture=Posture.Reactive,
            threshold=1, within=timedelta(0),
        ),
        actions=[
            SendNotification(
                block_document_id=block, subject="itrp: tweets in quarantine",
                body="{{ event.payload.quarantined }} of {{ event.payload.lines }} tweets were rejected: "
                "{{ event.payload.by_code }}. Repair them, then run ingest-tweets with replay.",
            )
        ],
    )  # fmt: skip
    yield AutomationCore(
        name="itrp: something needs attention",
        trigger=EventTrigger(
            expect={ATTENTION_NEEDED, TWEETS_SET_ASIDE}, match=ResourceSpecification({ALERT_LABEL: "yes"}),
            posture=Posture.Reactive, threshold=1, within=timedelta(0),
        ),
        actions=[
            SendNotification(
                block_document_id=block, subject="itrp: {{ event.resource.name }}", body="{{ event.payload.told }}"
            )
        ],
    )  # fmt: skip
    yield AutomationCore(
        name="itrp: nothing was scored for a day",
        description="The server itself notices, even when schedules, workers and flows all stand still.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Completed", "prefect.flow-run.Waiting"}, match=ANY_RUN, match_related=SCORING,
            posture=Posture.Proactive, threshold=1, within=timedelta(hours=SILENT_HOURS),
        ),
        actions=[
            SendNotification(
                block_document_id=block, subject="itrp: nothing was scored for a day",
                body=f"No run of score-tweets has ended well for {SILENT_HOURS} hours: check whether its schedule is on, its "
                "runs are late, or its worker is gone; `itrp doctor` shows more.",
            )
        ],
    )  # fmt: skip
    yield AutomationCore(
        name="itrp: a run failed or crashed",
        trigger=EventTrigger(
            expect={f"prefect.flow-run.{state}" for state in ("Failed", "Crashed", "TimedOut")},
            match=ANY_RUN, match_related=OUR_RUNS, posture=Posture.Reactive, threshold=1, within=timedelta(0),
        ),
        actions=[
            SendNotification(
                block_document_id=block, subject="itrp: {{ flow_run.name }} {{ flow_run.state.name }}",
                body="{{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
            )
        ],
    )  # fmt: skip
    for pool, numbers in pools.items():
        yield _watch_late_runs(block, pool, numbers)
    yield AutomationCore(
        name="itrp: a pool has lost its last worker",
        description="Scheduled runs wait there until a worker starts. A restart is no alarm.",
        trigger=EventTrigger(
            after={"prefect.work-pool.not-ready"}, expect={"prefect.work-pool.ready"},
            match=ResourceSpecification({"prefect.resource.id": "prefect.work-pool.*", "prefect.resource.name": [*pools]}),
            for_each={"prefect.resource.id"}, posture=Posture.Proactive, threshold=1,
            within=timedelta(seconds=UNSERVED_SECONDS),
        ),
        actions=[
            SendNotification(
                block_document_id=block, subject="itrp: the pool {{ event.resource.name }} has no worker",
                body="Its runs wait: start a worker of the pool {{ event.resource.name }} (docs/operations.md).",
            )
        ],
    )  # fmt: skip


def _watch_late_runs(block: UUID, pool: str, deployments: Sequence[UUID]) -> AutomationCore:
    """Late alone is no alarm: a run that waits while another one has the slot or the worker is late as well."""
    numbers = [f"prefect.deployment.{each}" for each in deployments]
    return AutomationCore(
        name=f"itrp: late runs of the pool {pool}, and nobody takes them",
        description=f"A run is late, and in {UNSERVED_SECONDS} s no run of the pool has begun or sent a heartbeat.",
        trigger=EventTrigger(
            after={LATE}, expect=MOVES, match=ANY_RUN,
            match_related=ResourceSpecification(
                {"prefect.resource.role": "deployment", "prefect.resource.id": numbers}
            ),
            # a label that is the same for all: one window for the whole pool, whichever of its runs is late or alive
            for_each={"related:deployment:prefect.resource.role"},
            posture=Posture.Proactive, threshold=1, within=timedelta(seconds=UNSERVED_SECONDS),
        ),
        actions=[
            SendNotification(
                block_document_id=block, subject="itrp: {{ flow_run.name }} is late",
                body=f"No worker takes the runs of the pool {pool}: start one, or check whether the pool is paused.\n"
                "{{ flow_run|ui_url }}",
            )
        ],
    )  # fmt: skip


def _save_notifier(url: str) -> UUID:
    # Of Prefect's own blocks, the only ones its server can load, this one hands any Apprise URL on, not Slack's alone.
    document = SlackWebhook(url=url).save(NOTIFY_BLOCK, overwrite=True)
    return UUID(str(document))
