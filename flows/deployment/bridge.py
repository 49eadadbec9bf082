"""`itrp bridge`: what happens in MLflow's registry and in the bucket starts deployments at once.

It makes things faster and guarantees nothing: what it misses is found by the schedules.
"""

import json
import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from prefect.client.orchestration import get_client
from starlette.concurrency import run_in_threadpool

from flows.deployment.registry_webhook import DELIVERY_HEADER, PATH, is_genuine
from flows.jobs.ingestion.batches import BATCH_ENDINGS, LANDING_PREFIX
from flows.platform import open_objects
from infra.errors import EventsUnsupportedError, SettingsError, StoreError
from infra.object_store.bucket_events import coalesce, listen_created
from infra.settings import Settings
from serving.registry import CHAMPION, MODEL_NAMES

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1 << 20
QUIET_SECONDS = 10.0
LONGEST_SECONDS = 60.0
"""A burst of batch files starts one ingestion: when nothing has come for ten seconds, or after a minute."""

MOST_KEYS = 1000
"""A larger burst is listed instead of named."""

StartRun = Callable[[str, str, dict[str, Any]], None]
"""Start a deployment by its name, once for each idempotency key, with parameters."""


def start_run(name: str, key: str, parameters: dict[str, Any]) -> None:
    """Create a run of a deployment; the same key creates none again."""
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(f"{name}/{name}")
        run = client.create_flow_run_from_deployment(deployment.id, parameters=parameters, idempotency_key=key)
    logger.info("started %s", run.name)


def make_app(secret: str, start: StartRun = start_run) -> FastAPI:
    """The service that MLflow's webhook calls. GET /health answers without a signature."""
    app = FastAPI(title="itrp bridge", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post(PATH)
    async def receive(request: Request) -> dict[str, bool]:
        body = await _read_body(request)
        if not is_genuine(request.headers, body, secret):
            logger.warning("rejected a call whose signature is not MLflow's, or that is over five minutes old")
            raise HTTPException(401, "the signature or its time is wrong")
        moved = _is_champion(_parse(body))
        if moved:
            await _in_thread(start, "follow-champions", request.headers[DELIVERY_HEADER])
        return {"started": moved}

    return app


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until a signal comes, listening to the bucket beside. Raises SettingsError without a secret."""
    if settings.webhook_secret is None:
        raise SettingsError("ITRP_WEBHOOK_SECRET: expected the secret MLflow signs with, found none: set it")
    stop = threading.Event()
    listener = threading.Thread(target=follow_bucket, args=(settings, stop), name="bucket-events", daemon=True)
    listener.start()
    try:
        uvicorn.run(make_app(settings.webhook_secret.get_secret_value()), host=host, port=port, log_level="warning")
    finally:
        stop.set()


def follow_bucket(settings: Settings, stop: threading.Event, start: StartRun = start_run) -> None:
    """Start an ingestion after each burst of new batch files, until `stop` is set or the store turns out to have no events."""
    store = open_objects(settings)
    keys = listen_created(store, LANDING_PREFIX, stop=stop, endings=BATCH_ENDINGS)
    try:
        for burst in coalesce(keys, quiet=QUIET_SECONDS, longest=LONGEST_SECONDS):
            # an empty burst: listening has begun (again), and what came before went unheard
            named = {"keys": burst} if 0 < len(burst) <= MOST_KEYS else {}
            try:
                start("ingest-tweets", uuid.uuid4().hex, named)
            except Exception as error:  # the schedule finds what this misses
                logger.warning("cannot start ingest-tweets: %s", error)
    except EventsUnsupportedError as error:
        logger.info("no bucket events, the schedule finds new tweets: %s", error)
    except StoreError as error:
        logger.warning("bucket events have stopped, the schedule finds new tweets: %s", error)


async def _read_body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, "the body is longer than any delivery of MLflow")
    return body


def _parse(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # brackets in brackets in brackets
        raise HTTPException(400, "the body is no JSON") from None


def _is_champion(delivery: object) -> bool:
    """Is it about the alias `champion` of one of our models?"""
    data = delivery.get("data") if isinstance(delivery, dict) else None
    return isinstance(data, dict) and data.get("alias") == CHAMPION and data.get("name") in MODEL_NAMES.values()


async def _in_thread(start: StartRun, name: str, key: str) -> None:
    try:
        await run_in_threadpool(start, name, key, {})
    except Exception as error:
        logger.warning("cannot start %s: %s", name, error)
        raise HTTPException(503, "Prefect does not answer: deliver it again") from None
