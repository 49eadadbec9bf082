"""docker-compose.yml, .env.example and the Dockerfile fit each other and what was promised."""

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from infra.docker import make_env
from infra.docker.list_requirements import list_requirements
from tests.infra.docker import check_compose
from tests.infra.docker.check_compose import fill_defaults, read_example

CHECKOUT = Path(__file__).parents[3]
DOCKER = CHECKOUT / "infra/docker"
COMPOSE, EXAMPLE = check_compose.load(CHECKOUT)
SERVICES = COMPOSE["services"]
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
SECRETS = [name for name in read_example(EXAMPLE) if check_compose.SECRET.search(name)]


def test_nothing_is_wrong() -> None:
    assert check_compose.check(COMPOSE, EXAMPLE) == []


def test_the_parts_that_were_promised_are_there() -> None:
    jobs = {name for name, service in SERVICES.items() if check_compose.is_job(service)}
    assert jobs == {
        "prepare-volumes", "prepare-databases", "prepare-object-store", "migrate-mlflow", "migrate-prefect", "deploy"
    }  # fmt: skip
    assert SERVICES.keys() - jobs == {
        "postgres", "queue", "object-store", "mlflow", "prefect-server", "prefect-services", "bridge", "review", "cpu", "scoring",
        "gpu",
    }  # fmt: skip
    assert len(SECRETS) == 20
    # nobody outside speaks to these two
    assert [
        name for name in ("bridge", "queue") if "ports" in SERVICES[name] or SERVICES[name]["networks"] != ["inside"]
    ] == []
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_the_checks_are_a_command(tmp_path: Path) -> None:
    for name in ("docker-compose.yml", ".env.example"):
        shutil.copy(CHECKOUT / name, tmp_path)
    command = [sys.executable, str(CHECKOUT / "tests/infra/docker/check_compose.py"), str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True).stdout == ""
    (tmp_path / ".env.example").write_text(EXAMPLE + "# not used\nTYPO=1\n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "TYPO: in .env.example, but not used\n")


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """An .env file made as docs/operations.md says."""
    file = tmp_path / "env"
    done = subprocess.run([sys.executable, str(DOCKER / "make_env.py")], capture_output=True, text=True, check=True)
    file.write_text(done.stdout)
    return file


def test_every_secret_is_made_and_only_once(filled: Path, tmp_path: Path) -> None:
    made = read_example(filled.read_text())
    needed = [name for name in SECRETS if name not in check_compose.MAY_BE_EMPTY]
    values = [made[name] for name in needed]
    assert len(set(values)) == len(needed)
    assert min(map(len, values)) >= 20
    # they stand in addresses and headers unquoted
    assert [value for value in values if not re.fullmatch(r"[A-Za-z0-9_-]+=?", value)] == []
    from cryptography.fernet import Fernet

    Fernet(made["MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"])
    # a newer version of the example: what is there stays
    assert make_env.fill(EXAMPLE, make_env.read(filled)) == filled.read_text()


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="needs docker-compose (Debian's package will do)")
def test_docker_compose_accepts_the_file(filled: Path) -> None:
    command = ["docker-compose", "--file", str(CHECKOUT / "docker-compose.yml"), "--env-file"]
    done = subprocess.run([*command, str(filled), "config"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "container" not in done.stderr
    # the example as it stands has no secrets, and Compose says what to do
    done = subprocess.run([*command, str(CHECKOUT / ".env.example"), "config"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "openssl rand -hex 24" in done.stderr


def stages() -> dict[str, str]:
    """The Dockerfile's stages by name."""
    parts = re.split(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_images_are_built_on_a_fixed_base_and_end_as_a_user() -> None:
    base = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert base is not None
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-\w+", base[1])
    froms = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(froms) - set(stages()) == {"${PYTHON_IMAGE}"}
    for target in ("servers", "cpu", "gpu"):
        users = re.findall(r"^USER (\S+)$", stages()[target], re.MULTILINE)
        assert users == ["10001:10001"]
    assert "useradd --uid 10001" in stages()["base"]
    ours = [service for service in SERVICES.values() if "build" in service]
    assert {service["user"] for service in ours} == {"10001:10001"}
    assert {service["build"]["target"] for service in ours} == {"servers", "cpu", "gpu"}


def test_what_the_dockerfile_copies_is_there_and_sent() -> None:
    ignored = (CHECKOUT / ".dockerignore").read_text().splitlines()
    sent = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    kept_back = [line for line in ignored if line.startswith("infra/")]
    assert "*" in ignored
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.replace("\\\n", " "), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (CHECKOUT / source).exists(), source
            assert Path(source).parts[0] in sent, source
            assert not any(Path(source).match(pattern) for pattern in kept_back), source


def test_what_compose_uses_of_the_images_is_in_them() -> None:
    targets = {"servers": stages()["servers"], "cpu": stages()["worker"], "gpu": stages()["worker"]}
    for name, service in SERVICES.items():
        for _, text in check_compose.strings([service.get("command", []), service.get("healthcheck", {})]):
            if text.startswith("/opt/itrp/"):
                assert Path(text).name in targets[service["build"]["target"]], name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (CHECKOUT / source).is_file() if source.startswith("./") else source in COMPOSE["volumes"]


def test_the_versions_of_the_servers_are_those_of_the_workers() -> None:
    """Prefect asks for equal versions on both sides: both are held by constraints.txt."""
    wanted = list_requirements(CHECKOUT / "pyproject.toml", ["postgres"])
    assert any(each.startswith("prefect>=") for each in wanted)
    assert any(each.startswith("psycopg[binary]") for each in wanted)
    pinned = dict(
        line.split("==") for line in (CHECKOUT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
    )
    needed = (
        "prefect",
        "mlflow",
        "fastapi",
        "boto3",
        "minio",
        "psycopg",
        "psycopg-binary",
        "torch",
        "torchvision",
        "redis",
    )
    assert [name for name in needed if name not in pinned] == []
    assert [
        line
        for line in stages()["servers-packages"].splitlines()
        if "pip install" in line and "-c constraints.txt" not in line
    ] == []


def test_defaults_are_filled_in_as_compose_does() -> None:
    text = "${A:-1}/${B:?make it}/${C:-}/$$D/${E-2}"
    assert fill_defaults(text) == "1///$D/2"
    assert fill_defaults(text, {"A": "x", "B": "y"}) == "x/y//$D/2"


def test_the_commit_of_the_image_is_written_where_pip_writes_it(tmp_path: Path) -> None:
    """As after `pip install git+https://…`, so whoever asks for the commit looks in one place (PEP 610)."""
    metadata = tmp_path / "itrp-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.4\nName: itrp\nVersion: 0.1.0\n")
    (metadata / "RECORD").write_text("itrp-0.1.0.dist-info/METADATA,,\nitrp-0.1.0.dist-info/RECORD,,\n")
    (metadata / "direct_url.json").write_text('{"url": "file:///wheels/itrp.whl", "archive_info": {}}')
    environment = {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, str(DOCKER / "record_commit.py")]
    subprocess.run([*command, ""], env=environment, check=True)  # not told: pip's own note stays
    assert "archive_info" in (metadata / "direct_url.json").read_text()
    subprocess.run([*command, "8c5e1f0"], env=environment, check=True)
    origin = Distribution.at(metadata).read_text("direct_url.json")
    assert origin is not None
    assert json.loads(origin)["vcs_info"] == {"vcs": "git", "commit_id": "8c5e1f0"}


def test_the_page_for_operators_names_what_there_is() -> None:
    page = (CHECKOUT / "docs/operations.md").read_text()
    known = f"{(CHECKOUT / 'docker-compose.yml').read_text()} {EXAMPLE} COMPOSE_PROFILES MLFLOW_TRACKING_URI"
    variables = set(re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)+\b", page))
    assert len(variables) > 15
    assert sorted(name for name in variables if not re.search(rf"\b{name}\b", known)) == []
    commands = "\n".join(re.findall(r"```console\n(.*?)```", page, re.DOTALL)) + "\n".join(
        re.findall(r"`([^`]+)`", page)
    )
    called = re.findall(
        r"docker compose (?:exec|run|stop|start|logs)((?: -[-\w]+(?:[ =](?:\d+:\d+|\d+))?)*)((?: [a-z-]+)+)", commands
    )
    assert len(called) > 10
    for _, words in called:
        assert words.split()[0] in SERVICES, words
    files = set(re.findall(r"infra/docker/[\w./]+\w", page))
    assert sorted(file for file in files if not (CHECKOUT / file).exists()) == []
