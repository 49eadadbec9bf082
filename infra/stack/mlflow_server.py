"""The MLflow server: runs and registry in PostgreSQL, artifacts proxied to its own bucket, a password for everybody."""

from collections.abc import Mapping
from pathlib import Path
from urllib.error import HTTPError

from infra.errors import StackError
from infra.files import write_private
from infra.stack.ports import Ports
from infra.stack.secrets import Secrets
from infra.stack.service import Service, find_program, own_paths, post_json, responds

ADMIN = "admin"
SCORER = "scorer"
"""An account that reads everything and can change nothing that others made: for workers that only score."""
BUCKET = "mlflow"
HINT = "pip install 'itrp[stack]'"


def make_mlflow(folder: Path, ports: Ports, secrets: Secrets, log: Path) -> Service:
    """MLflow on its database and bucket, which have to be there. It answers on /health, which asks for no password."""
    folder.mkdir(parents=True, exist_ok=True)
    database = f"postgresql+psycopg://mlflow:{secrets.mlflow_database_password}@127.0.0.1:{ports.postgres}/mlflow"
    config = folder / "basic_auth.ini"
    write_private(config, _describe_access(database))
    command = [
        find_program("mlflow", HINT), "server", "--host", "127.0.0.1", "--port", str(ports.mlflow), "--workers", "1",
        "--app-name", "basic-auth", "--artifacts-destination", f"s3://{BUCKET}", "--serve-artifacts",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{ports.mlflow}/health"
    return Service("mlflow", command, log, lambda: responds(address), _environment(ports, secrets, database, config))


def keep_scorer(ports: Ports, secrets: Secrets) -> None:
    """Make the scorer's account on the running server, where it is not there yet. Raises StackError."""
    address = f"http://127.0.0.1:{ports.mlflow}/api/2.0/mlflow/users/create"
    account = {"username": SCORER, "password": secrets.mlflow_scorer_password}
    try:
        post_json(address, account, ADMIN, secrets.mlflow_admin_password, seconds=60)
    except HTTPError as error:
        told = error.read().decode(errors="replace")
        if "RESOURCE_ALREADY_EXISTS" not in told:
            raise StackError(f"MLflow rejected the account {SCORER}: {told[:300]}") from error


def _describe_access(database: str) -> str:
    # everybody who has a password may look; what somebody makes is theirs to change
    return (
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {database.replace('%', '%%')}\nadmin_username = {ADMIN}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\nauth_cache_ttl_seconds = 60\n"
    )


def _environment(ports: Ports, secrets: Secrets, database: str, config: Path) -> Mapping[str, str]:
    # secrets go through the environment: everybody on the machine can read a command line
    return {
        **own_paths(),
        "HOME": str(config.parent),
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_PASSWORD": secrets.mlflow_admin_password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.mlflow_session_key,
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"127.0.0.1:{ports.mlflow},localhost:{ports.mlflow}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # half the memory; nothing of ours runs in MLflow's own jobs
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": secrets.mlflow_webhook_key,
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",  # the bridge is on this machine
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{ports.objects}",
        "AWS_ACCESS_KEY_ID": secrets.mlflow_access_key,
        "AWS_SECRET_ACCESS_KEY": secrets.mlflow_secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
    }
