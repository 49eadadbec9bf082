"""infra/kubernetes: work pool templates by Prefect's own rules, and the same names as in the rest of the project."""

import json
import re
import subprocess
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import prefect.settings
import pytest
import yaml
from prefect.utilities.templating import apply_values, find_placeholders

from infra.object_store import BucketAddress, parse_store_url
from infra.settings import PREFIX, find_unknown_variables, load_settings

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "infra/kubernetes"
POOLS = ("cpu", "gpu")
Json = dict[str, Any]


def read_template(pool: str) -> Json:
    template: Json = json.loads((FOLDER / f"work-pool-{pool}.json").read_text())
    return template


def read_documents(name: str) -> list[Json]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def read_compose() -> Json:
    compose: Json = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return compose


def folder_of(package: str) -> Path:
    """Where it is installed; importing it would take seconds."""
    found = find_spec(package)
    assert found is not None
    return Path(str(found.origin)).parent


def read_prefects_template() -> Json:
    """Of the Kubernetes worker, as the server that is installed here knows it."""
    views = folder_of("prefect") / "server/api/collections_data/views"
    known = json.loads((views / "aggregate-worker-metadata.json").read_text())
    template: Json = known["prefect-kubernetes"]["kubernetes"]["default_base_job_configuration"]
    return template


def defaults_of(template: Json) -> Json:
    return {name: each["default"] for name, each in template["variables"]["properties"].items()}


def render(pool: str, **values: Any) -> Json:
    """The job as a worker makes it, before it adds what it knows of the run."""
    template = read_template(pool)
    job: Json = apply_values(template["job_configuration"]["job_manifest"], defaults_of(template) | values)
    return job


def pod_of(job: Json) -> Json:
    pod: Json = job["spec"]["template"]["spec"]
    return pod


def container_of(job: Json) -> Json:
    (container,) = pod_of(job)["containers"]
    return dict(container)


def measure(quantity: str | int) -> float:
    """A Kubernetes quantity as a number."""
    found = re.fullmatch(r"(\d+)(m|Mi|Gi|)", str(quantity))
    assert found, quantity
    return int(found[1]) * {"": 1, "m": 1e-3, "Mi": 2**20, "Gi": 2**30}[found[2]]


@pytest.mark.parametrize("pool", POOLS)
def test_every_placeholder_is_a_variable_and_every_variable_is_used(pool: str) -> None:
    template = read_template(pool)
    used = {each.name for each in find_placeholders(template["job_configuration"])}
    assert used == set(template["variables"]["properties"])


@pytest.mark.parametrize("pool", POOLS)
def test_every_default_is_what_its_schema_asks_for(pool: str) -> None:
    schema = read_template(pool)["variables"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(defaults_of(read_template(pool)))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({"finished_job_ttl": "an hour"})


@pytest.mark.parametrize("pool", POOLS)
def test_the_worker_finds_what_it_asks_for(pool: str) -> None:
    ours, prefects = read_template(pool)["job_configuration"], read_prefects_template()["job_configuration"]
    left_out = {"cluster_config", "job_watch_timeout_seconds", "pod_watch_timeout_seconds", "stream_output"}
    assert set(prefects) - set(ours) == left_out
    for each in ("apiVersion", "kind"):
        assert ours["job_manifest"][each] == prefects["job_manifest"][each]
    pod, asked = pod_of(ours["job_manifest"]), pod_of(prefects["job_manifest"])
    for each in ("restartPolicy", "parallelism", "completions"):
        assert pod[each] == asked[each]
    container, asked = container_of(ours["job_manifest"]), container_of(prefects["job_manifest"])
    assert (container["name"], container["args"]) == (asked["name"], asked["args"])


@pytest.mark.parametrize("pool", POOLS)
def test_variables_that_prefect_has_too_take_the_same_values(pool: str) -> None:
    ours = read_template(pool)["variables"]["properties"]
    prefects = read_prefects_template()["variables"]["properties"]
    both = set(ours) & set(prefects)
    assert {"env", "image", "namespace", "cpu_limit", "memory_request", "finished_job_ttl"} <= both
    for name in both - {"name", "command"}:  # which have no value until there is a run
        jsonschema.validate(ours[name]["default"], prefects[name])


@pytest.mark.parametrize("pool", POOLS)
def test_a_job_is_whole(pool: str) -> None:
    job = render(pool, name="score-tweets")
    assert "{{" not in json.dumps(job)
    assert job["metadata"]["generateName"] == "score-tweets-"
    assert job["spec"]["backoffLimit"] == 0  # otherwise Kubernetes, and not Prefect, would run it again
    assert job["spec"]["ttlSecondsAfterFinished"] > 0
    resources = container_of(job)["resources"]
    assert {"cpu", "memory"} == set(resources["requests"])
    for name, asked in resources["requests"].items():
        assert 0 < measure(asked) <= measure(resources["limits"][name])
    mounted = [each["name"] for each in container_of(job)["volumeMounts"]]
    assert sorted(mounted) == sorted(each["name"] for each in pod_of(job)["volumes"])


def test_the_gpu_pool_is_the_cpu_pool_and_a_gpu() -> None:
    cpu, gpu = read_template("cpu"), read_template("gpu")
    limits = container_of(gpu["job_configuration"]["job_manifest"])["resources"]["limits"]
    assert limits.pop("nvidia.com/gpu") == "{{ gpus }}"
    assert gpu["variables"]["properties"].pop("gpus")["default"] == 1
    assert gpu["job_configuration"] == cpu["job_configuration"]
    ours, theirs = gpu["variables"]["properties"], cpu["variables"]["properties"]
    sizes = {"cpu_request", "cpu_limit", "memory_request", "memory_limit"}
    placed = {"env", "image", "volumes", "node_selector", "tolerations"}
    assert {name for name in theirs if ours[name] != theirs[name]} == sizes | placed
    assert ours["env"]["default"] == theirs["env"]["default"] | {"ITRP_DEVICE": "cuda", "ITRP_COMPILED": "false"}
    assert container_of(render("gpu", gpus=2))["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert pod_of(render("gpu"))["tolerations"][0]["key"] == "nvidia.com/gpu"


def list_pods() -> list[Json]:
    deployments = [each for each in read_documents("services.yaml") if each["kind"] == "Deployment"]
    return [*(pod_of(render(pool)) for pool in POOLS), *(pod_of(each) for each in deployments)]


def test_no_pod_of_ours_has_rights() -> None:
    """What the namespace's label `restricted` asks for, and no account that may do anything."""
    namespace, account, _ = read_documents("namespace.yaml")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    user = int(re.findall(r"useradd --uid (\d+)", (ROOT / "infra/docker/Dockerfile").read_text())[0])
    for pod in list_pods():
        assert pod["serviceAccountName"] == account["metadata"]["name"]
        assert pod["automountServiceAccountToken"] is False
        context = pod["securityContext"]
        assert (context["runAsNonRoot"], context["runAsUser"], context["fsGroup"]) == (True, user, user)
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]) == {"requests", "limits"}


def test_folders_that_the_image_writes_to_are_volumes() -> None:
    dockerfile = (ROOT / "infra/docker/Dockerfile").read_text()
    work = re.findall(r"ITRP_WORK_DIR=(\S+)", dockerfile)[0]
    for pool in POOLS:
        mounts = [each["mountPath"] for each in container_of(render(pool))["volumeMounts"]]
        assert {work, "/tmp"} <= set(mounts)
        # the volume hides the folder in it that the image has made for temporary files
        assert render_environment(pool)["TMPDIR"] == "/tmp"


def render_environment(pool: str, secret: str = "") -> dict[str, str]:
    """What a job gets: plain values, and `secret` for each that comes from the secret."""
    plain = defaults_of(read_template(pool))["env"]
    held = {each["name"]: secret for each in container_of(render(pool))["env"] if "secretKeyRef" in each["valueFrom"]}
    return {**plain, **held}


@pytest.mark.parametrize("pool", POOLS)
def test_a_job_can_read_its_settings(pool: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = render_environment(pool, "postgresql://itrp:word@postgres:5432/itrp")
    for name, value in given.items():
        if name.startswith(PREFIX):
            monkeypatch.setenv(name, value)
    settings = load_settings(work_dir=tmp_path)
    store = parse_store_url(settings.object_store_url)
    assert isinstance(store, BucketAddress)
    assert store.bucket == "tweets"
    assert settings.device == {"cpu": "cpu", "gpu": "cuda"}[pool]
    assert find_unknown_variables() == []


@pytest.mark.parametrize("pool", POOLS)
def test_other_variables_are_known_to_those_who_read_them(pool: str) -> None:
    mlflow = (folder_of("mlflow") / "environment_variables.py").read_text()
    for name in render_environment(pool):
        if name.startswith("PREFECT_"):
            assert getattr(prefect.settings, name), name
        elif name.startswith("MLFLOW_"):
            assert f'"{name}"' in mlflow, name


def test_a_job_gets_what_a_worker_in_compose_gets() -> None:
    compose = read_compose()["x-itrp-environment"]
    of_the_worker = {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING"}  # Prefect's worker hands its own on
    for_people = {"PREFECT_PLUGINS_ENABLED"}
    given = render_environment("cpu")
    assert set(given) - {"TMPDIR"} == set(compose) - of_the_worker - for_people
    asked = {name: value for name, value in compose.items() if "${" not in value}
    assert {name: given[name] for name in asked if name in given} == {
        name: value for name, value in asked.items() if name in given
    }
    assert given["ITRP_OBJECT_STORE_URL"] == re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", compose["ITRP_OBJECT_STORE_URL"])


def read_docs() -> str:
    return (ROOT / "docs/kubernetes.md").read_text()


def list_keys(secret: str) -> set[str]:
    """The keys that docs/kubernetes.md has the reader put into a secret."""
    made = re.search(rf"generic {secret} --from-env-file=/dev/stdin <<END\n(.*?)\nEND", read_docs(), re.DOTALL)
    if made is None:
        return set(re.findall(rf"generic {secret} --from-file=([\w-]+)=/dev/stdin", read_docs()))
    return {line.partition("=")[0] for line in made[1].splitlines()}


def test_images_are_those_of_compose() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {each["image"] for each in read_compose()["services"].values()}
    built = {re.sub(r"\$\{ITRP_VERSION:-([^}]+)\}", r"\1", image) for image in images if image.startswith("itrp-")}
    used = {each["image"] for pod in list_pods() for each in [*pod.get("initContainers", []), *pod["containers"]]}
    assert used == built == {f"itrp-{target}:{version}" for target in ("servers", "cpu", "gpu")}


@pytest.mark.parametrize("name", ["mlflow", "bridge", "review"])
def test_services_are_those_of_compose(name: str) -> None:
    deployment = next(
        each
        for each in read_documents("services.yaml")
        if (each["kind"], each["metadata"]["name"]) == ("Deployment", name)
    )
    container, compose = container_of(deployment), read_compose()["services"][name]
    assert container["args"] == compose["command"]
    kept = [key for each in container["envFrom"] for key in list_keys(each["secretRef"]["name"])]
    listed = [each["name"] for each in container["env"]]
    assert len({*listed, *kept}) == len(listed) + len(kept)
    defaults = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES", "PREFECT_LOGGING_EXTRA_LOGGERS", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"}
    defaults |= {"TOKENIZERS_PARALLELISM", "MPLBACKEND"}  # of runs, and no run is in the bridge
    assert {*listed, *kept} == set(compose["environment"]) - defaults


def test_every_secret_is_made_with_the_keys_that_are_asked_for() -> None:
    asked = [each for pod in list_pods() for container in pod["containers"] for each in container.get("env", [])]
    references = [each["valueFrom"]["secretKeyRef"] for each in asked if "secretKeyRef" in each.get("valueFrom", {})]
    (server,), (worker,) = read_documents("prefect-server.yaml"), read_documents("prefect-worker.yaml")
    database = server["externalDatabase"]
    references.append({"name": database["existingSecret"], "key": database["connectionStringSecretKey"]})
    for access in (server["server"]["basicAuth"], worker["worker"]["selfHostedServerApiConfig"]["basicAuth"]):
        references.append({"name": access["existingSecret"], "key": "auth-string"})
    assert len({each["name"] for each in references}) == 3
    for each in references:
        assert each["key"] in list_keys(each["name"]), each


def test_servers_and_workers_are_the_prefect_we_have_pinned() -> None:
    pinned = re.findall(r"^prefect==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[0]
    (server,), (worker,) = read_documents("prefect-server.yaml"), read_documents("prefect-worker.yaml")
    assert server["global"]["prefect"]["image"]["prefectTag"] == f"{pinned}-python3.11"
    assert worker["worker"]["image"]["prefectTag"] == f"{pinned}-python3.11-kubernetes"
    assert worker["worker"]["config"]["workPool"] in POOLS


def test_what_the_page_names_is_there() -> None:
    named = set(re.findall(r"(?<![\w/.-])(?:infra|docs|site)/[\w./*-]*\w", read_docs()))
    assert len(named) > 8
    for each in named:
        assert list(ROOT.glob(each.replace("site/", "infra/kubernetes/"))), each
    for pool in POOLS:
        assert f"prefect work-pool create {pool} --type kubernetes" in read_docs()


def test_the_pages_edits_reach_every_address_and_image(tmp_path: Path) -> None:
    """The `sed` lines, run as they stand there."""
    copy_to = f"cp -r {FOLDER} site"
    lines = [line for line in read_docs().splitlines() if line.startswith(("export REGISTRY=", "sed -i "))]
    assert len(lines) == 4
    subprocess.run(["sh", "-ec", "\n".join([copy_to, *lines])], cwd=tmp_path, check=True)
    edited = {file.name: file.read_text() for file in (tmp_path / "site").iterdir()}
    used = "\n".join(edited[name] for name in ("services.yaml", "work-pool-cpu.json", "work-pool-gpu.json"))
    images = re.findall(r"\S*itrp-(?:cpu|gpu|servers):\S+", used)
    assert len(images) == 6
    assert all("registry.example.org/team/itrp-" in each for each in images)
    assert "object-store" not in used
    assert "value: postgres" not in used
    for pool in POOLS:
        json.loads(edited[f"work-pool-{pool}.json"])
