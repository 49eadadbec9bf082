"""All of it: servers, deployments, bridge and two workers, in the order they need each other."""

import logging
import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from infra.errors import StackError
from infra.files import write_private
from infra.stack import mlflow_server, prefect_server
from infra.stack.mlflow_server import keep_scorer, make_mlflow
from infra.stack.ports import Ports
from infra.stack.postgres import create_databases, make_postgres
from infra.stack.prefect_server import WORKER, make_prefect, make_worker
from infra.stack.seaweedfs import Identity, collecting, make_seaweedfs, own_bucket
from infra.stack.secrets import keep_secrets
from infra.stack.service import Service, end_engines, find_program, mark_workers, own_paths, responds

logger = logging.getLogger(__name__)

BUCKET = "tweets"
POOLS = ("cpu", "gpu")
DEPLOY_SECONDS = 300


class Stack:
    """The stack in a folder. What was in it at the last start is there again at the next."""

    def __init__(self, folder: Path, ports: Ports, extra: Mapping[str, str] | None = None) -> None:
        """`extra`: further variables for the workers and for whoever uses the stack."""
        self.folder = folder.absolute()
        self.logs = self.folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.ports = ports
        self.secrets = keep_secrets(self.folder / "secrets.json")
        self.environment = {**self._describe_environment(), **(extra or {})}
        self.services: dict[str, Service] = {}

    def start(self) -> None:
        """Start everything. Raises StackError, with what was started stopped again."""
        taken = self.ports.taken()
        if taken:
            raise StackError(
                f"expected free ports on 127.0.0.1, found {', '.join(map(str, taken))} in use: stop the programs that use them"
            )
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise

    def _start_all(self) -> None:
        secrets, ports = self.secrets, self.ports
        self._run(
            make_postgres(self.folder / "postgres", ports.postgres, secrets.postgres_password, self.log("postgres"))
        )
        owners = {
            "prefect": secrets.prefect_database_password,
            "mlflow": secrets.mlflow_database_password,
            "itrp": secrets.catalog_password,
        }
        create_databases(ports.postgres, secrets.postgres_password, owners)
        buckets = [BUCKET, mlflow_server.BUCKET]
        self._run(make_seaweedfs(self.folder / "objects", ports, self._identities(), buckets, self.log("seaweedfs")))
        self._run(make_mlflow(self.folder / "mlflow", ports, secrets, self.log("mlflow")))
        keep_scorer(ports, secrets)
        self._run(make_prefect(self.folder / "prefect", ports, secrets, self.log("prefect")))
        self.deploy()
        self._run(self._make_bridge())
        self._run(self._make_review())
        self._end_engines()  # of an earlier stack in this folder that was killed
        for pool in dict.fromkeys((*POOLS, self.scoring_pool)):
            self.start_worker(pool)

    @property
    def scoring_pool(self) -> str:
        """The pool of score-tweets: of its own where `extra` says so, and then its worker can change no model."""
        return self.environment.get("ITRP_SCORING_POOL", POOLS[0])

    def start_worker(self, pool: str) -> None:
        """Start the worker of a pool, the first time or again."""
        self._run(make_worker(pool, self.ports, self.secrets, self.environment_of(pool), self.log(WORKER + pool)))

    def environment_of(self, pool: str) -> dict[str, str]:
        """What the worker of a pool is told: its mark, and where it only scores an account that changes no model."""
        environment = {**self.environment, **mark_workers(self.folder)}
        if pool not in POOLS:
            environment["MLFLOW_TRACKING_USERNAME"] = mlflow_server.SCORER
            environment["MLFLOW_TRACKING_PASSWORD"] = self.secrets.mlflow_scorer_password
        return environment

    def deploy(self) -> None:
        """Run `itrp deploy`. Raises StackError with what it said."""
        logger.info("creating the deployments on the server")
        command = [str(find_program("itrp", "pip install itrp")), "deploy"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=DEPLOY_SECONDS)
        with self.log("deploy").open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode:
            raise StackError(f"itrp deploy failed:\n{done.stderr[-3000:]}")

    def stop(self) -> None:
        """Stop everything, last started first, and the runs that killed workers have left behind."""
        workers = [name for name in reversed(self.services) if name.startswith(WORKER)]
        for name in workers:
            self._stop(name)
        if workers:  # without one this folder may be another stack's, and what is marked there its own
            self._end_engines()
        for name in reversed(self.services):
            if name not in workers:
                self._stop(name)

    def _stop(self, name: str) -> None:
        logger.info("stopping %s", name)
        self.services[name].stop()

    def _end_engines(self) -> None:
        ended = end_engines(self.folder)
        if ended:
            logger.info("ended %d processes that workers left behind", ended)

    def log(self, name: str) -> Path:
        """The log of a service."""
        return self.logs / f"{name}.log"

    def write_environment(self) -> Path:
        """A file to `source` in a shell, which then talks to this stack. Only its owner may read it: it holds passwords."""
        shared = {name: value for name, value in self.environment.items() if name not in ("PATH", "HOME")}
        file = self.folder / "env.sh"
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in shared.items()]
        write_private(file, "".join([_put_on_path(find_program("itrp", "pip install itrp").parent), *lines]))
        return file

    def write_collectors_keys(self) -> Path:
        """A file for whoever brings tweets: keys, in the variables that S3 programs read, that open landing/ alone."""
        shared = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.ports.objects}",
            "AWS_ACCESS_KEY_ID": self.secrets.collector_access_key,
            "AWS_SECRET_ACCESS_KEY": self.secrets.collector_secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        file = self.folder / "collector.sh"
        write_private(file, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in shared.items()))
        return file

    def addresses(self) -> dict[str, str]:
        """What a person opens, by what it is."""
        return {
            "Prefect": f"http://127.0.0.1:{self.ports.prefect}",
            "MLflow": f"http://127.0.0.1:{self.ports.mlflow}",
            "Review": f"http://127.0.0.1:{self.ports.review}",
            "objects (S3)": f"http://127.0.0.1:{self.ports.objects}, buckets {BUCKET} and {mlflow_server.BUCKET}",
            "PostgreSQL": f"127.0.0.1:{self.ports.postgres}, databases prefect, mlflow and itrp",
        }

    def _run(self, service: Service) -> None:
        logger.info("starting %s", service.name)
        self.services.pop(service.name, None)
        self.services[service.name] = service
        service.start()

    def _identities(self) -> list[Identity]:
        secrets = self.secrets
        admin = Identity(
            "admin", secrets.objects_admin_key, secrets.objects_admin_secret, ["Admin", "Read", "Write", "List"]
        )
        worker = own_bucket("worker", secrets.worker_access_key, secrets.worker_secret_key, BUCKET)
        mlflow = own_bucket("mlflow", secrets.mlflow_access_key, secrets.mlflow_secret_key, mlflow_server.BUCKET)
        collector = collecting("collector", secrets.collector_access_key, secrets.collector_secret_key, BUCKET)
        return [admin, worker, mlflow, collector]

    def _make_bridge(self) -> Service:
        port = self.ports.bridge
        command = [find_program("itrp", "pip install itrp"), "bridge", "--host", "127.0.0.1", "--port", str(port)]
        address = f"http://127.0.0.1:{port}/health"
        return Service("bridge", command, self.log("bridge"), lambda: responds(address), self.environment)

    def _make_review(self) -> Service:
        port = self.ports.review
        command = [find_program("itrp", "pip install itrp"), "review", "--port", str(port)]
        address = f"http://127.0.0.1:{port}"
        environment = {**self.environment, "ITRP_REVIEW_SECRET": self.secrets.review_secret, "ITRP_REVIEW_URL": address}
        return Service("review", command, self.log("review"), lambda: responds(f"{address}/health"), environment)

    def _describe_environment(self) -> dict[str, str]:
        """What workers and people need to talk to the stack: an environment without any of the caller's settings."""
        secrets, ports = self.secrets, self.ports
        catalog = f"postgresql://itrp:{secrets.catalog_password}@127.0.0.1:{ports.postgres}/itrp"
        (self.folder / "prefect-client").mkdir(exist_ok=True)
        paths, programs = own_paths(), find_program("itrp", "pip install itrp").parent
        return {
            "PATH": f"{programs}{os.pathsep}{paths['PATH']}",
            "HOME": paths["HOME"],
            "ITRP_WORK_DIR": str(self.folder / "work"),
            "ITRP_OBJECT_STORE_URL": f"s3://{BUCKET}?endpoint=http://127.0.0.1:{ports.objects}",
            "ITRP_OBJECT_STORE_ACCESS_KEY": secrets.worker_access_key,
            "ITRP_OBJECT_STORE_SECRET_KEY": secrets.worker_secret_key,
            "ITRP_CATALOG_URL": catalog,
            "ITRP_MLFLOW_URI": f"http://127.0.0.1:{ports.mlflow}",
            "ITRP_WEBHOOK_SECRET": secrets.webhook_secret,
            "ITRP_BRIDGE_URL": f"http://127.0.0.1:{ports.bridge}",
            "MLFLOW_TRACKING_USERNAME": mlflow_server.ADMIN,
            "MLFLOW_TRACKING_PASSWORD": secrets.mlflow_admin_password,
            "PREFECT_HOME": str(self.folder / "prefect-client"),
            "PREFECT_API_URL": f"http://127.0.0.1:{ports.prefect}/api",
            "PREFECT_API_AUTH_STRING": f"{prefect_server.USER}:{secrets.prefect_password}",
            "PREFECT_PLUGINS_ENABLED": "true",
            # waits of 2, 4, 8 … s between tries: four minutes outlive a restart of Prefect's server, one, the default, not always
            "PREFECT_CLIENT_MAX_RETRIES": "7",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "PREFECT_LOGGING_EXTRA_LOGGERS": "itrp,infra,serving,flows",
            "DO_NOT_TRACK": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }


def _put_on_path(programs: Path) -> str:
    """A line of shell: our commands first, each time it is sourced once, and the reader's own PATH behind."""
    folder = shlex.quote(str(programs))
    return f'case ":$PATH:" in *:{folder}:*) ;; *) export PATH={folder}:"$PATH" ;; esac\n'
