"""`check_compose.py [FOLDER]`: what is wrong with docker-compose.yml and .env.example; nothing is printed when all is well.

Every rule looks at every service, so that a new one is held to it too. A rule takes the parsed file and returns
complaints, one sentence each.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Compose = Mapping[str, Any]

VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?:(?P<form>:?[?-])(?P<rest>[^}]*))?\}")
SECRET = re.compile(r"PASSWORD|SECRET|(^|_)(TOKEN|KEY|AUTH|AUTH_STRING)$|NOTIFY_URL")
MAY_BE_EMPTY = {"ITRP_NOTIFY_URL"}
"""Secrets that a stack works without: empty by default, and no value of ours."""
DONE, HEALTHY = "service_completed_successfully", "service_healthy"


def check(compose: Compose, example: str) -> list[str]:
    """All rules. `example` is the text of .env.example."""
    rules = (
        check_file, check_images, check_health, check_secrets, check_command_lines, check_ports, check_users,
        check_hardening, check_limits, check_dependencies, check_restarts, check_logs,
    )  # fmt: skip
    found = [complaint for rule in rules for complaint in rule(compose)]
    return [*found, *check_variables(compose, example), *check_example(example)]


def check_file(compose: Compose) -> list[str]:
    """docker-compose 1.29, which Debian has, refuses a top-level name."""
    return ["the file has a top-level name, which docker-compose 1.29 rejects"] if "name" in compose else []


def check_images(compose: Compose) -> list[str]:
    """Every image has a tag or digest of its own, also the default of one that is a variable."""
    complaints = []
    for name, service in compose["services"].items():
        image = fill_defaults(service.get("image", ""))
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@sha256:" not in image and (not tag or tag == "latest"):
            complaints.append(f"{name}: expected an image with a fixed tag, found {image or 'none'}")
    return complaints


def check_health(compose: Compose) -> list[str]:
    """Every service that goes on running says how to ask whether it is well."""
    return [
        f"{name}: expected a health check, found none"
        for name, service in long_running(compose)
        if not service.get("healthcheck", {}).get("test") or service["healthcheck"].get("disable")
    ]


def check_secrets(compose: Compose) -> list[str]:
    """A secret has no default and no value in the file, and its variable says how to make one."""
    complaints = []
    for place, text in strings(compose):
        for found in VARIABLE.finditer(text):
            name, form, rest = found["name"], found["form"], found["rest"]
            if not SECRET.search(name) or (name in MAY_BE_EMPTY and form == ":-" and not rest):
                continue
            if form != ":?" or not rest:
                complaints.append(f"{place}: expected ${{{name}:?how to make it}}, found {found[0]}")
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable) and "${" not in str(value):
                complaints.append(f"{name}: {variable} has a value in the file")
    return complaints


def check_command_lines(compose: Compose) -> list[str]:
    """Everybody on the machine can read a command line, and docker inspect shows it."""
    parts = ("command", "entrypoint", "healthcheck")
    return [
        f"{name}: the secret {found['name']} is in its {part}"
        for name, service in compose["services"].items()
        for part in parts
        for _, text in strings(service.get(part, ""))
        for found in VARIABLE.finditer(text)
        if SECRET.search(found["name"])
    ]


def check_ports(compose: Compose) -> list[str]:
    """Published on 127.0.0.1 and nowhere else."""
    complaints = []
    for name, service in compose["services"].items():
        if service.get("network_mode") == "host":
            complaints.append(f"{name}: the network of the host has no closed ports")
        for port in service.get("ports", []):
            address = port.get("host_ip", "") if isinstance(port, dict) else str(port)
            if not (address == "127.0.0.1" or address.startswith("127.0.0.1:")):
                complaints.append(f"{name}: expected 127.0.0.1:port:port, found {port}")
    return complaints


def check_users(compose: Compose) -> list[str]:
    """Nobody is root, by name or number."""
    return [
        f"{name}: expected a user that is not root, found {service.get('user', 'none')}"
        for name, service in compose["services"].items()
        if str(service.get("user", "root")).partition(":")[0] in ("", "root", "0")
    ]


def check_hardening(compose: Compose) -> list[str]:
    """No new privileges, no capabilities, and files that cannot be changed."""
    complaints = []
    for name, service in compose["services"].items():
        if "no-new-privileges:true" not in service.get("security_opt", []):
            complaints.append(f"{name}: expected security_opt no-new-privileges:true")
        if service.get("cap_drop") != ["ALL"] or service.get("cap_add") or service.get("privileged"):
            complaints.append(f"{name}: expected cap_drop [ALL] and nothing added")
        if service.get("read_only") is not True:
            complaints.append(f"{name}: expected read_only")
    return complaints


def check_limits(compose: Compose) -> list[str]:
    """One service cannot take the memory and processes of all."""
    return [
        f"{name}: expected a {limit}"
        for name, service in compose["services"].items()
        for limit in ("mem_limit", "pids_limit")
        if not service.get(limit)
    ]


def check_dependencies(compose: Compose) -> list[str]:
    """Jobs are waited for until they are done, services until they are healthy."""
    complaints = []
    for name, service in compose["services"].items():
        needed = service.get("depends_on", {})
        if not isinstance(needed, dict):
            complaints.append(f"{name}: depends_on without conditions")
            continue
        for other, how in needed.items():
            if other not in compose["services"]:
                complaints.append(f"{name}: depends on {other}, which is not there")
                continue
            wanted = DONE if is_job(compose["services"][other]) else HEALTHY
            if (how or {}).get("condition") != wanted:
                complaints.append(f"{name}: expected {other} to be waited for until {wanted}, found {how}")
    return complaints


def check_restarts(compose: Compose) -> list[str]:
    """A service comes back after a crash; a job that is over stays over."""
    complaints = []
    for name, service in compose["services"].items():
        if service.get("restart") not in ("no", "unless-stopped"):
            complaints.append(
                f'{name}: expected restart unless-stopped, or "no" for a job, found {service.get("restart")}'
            )
        if is_job(service) and (service.get("healthcheck") or service.get("ports")):
            complaints.append(f"{name}: a job with a health check or a port")
    return complaints


def check_logs(compose: Compose) -> list[str]:
    """Logs are cut off before they fill the disk."""
    return [
        f"{name}: expected logging options max-size and max-file"
        for name, service in compose["services"].items()
        if not {"max-size", "max-file"} <= set(service.get("logging", {}).get("options", {}))
    ]


def check_variables(compose: Compose, example: str) -> list[str]:
    """The file and .env.example know the same variables, with the same defaults."""
    used: dict[str, set[str]] = {}
    for _, text in strings(compose):
        for found in VARIABLE.finditer(text):
            used.setdefault(found["name"], set()).add((found["rest"] or "") if found["form"] == ":-" else "")
    told = read_example(example)
    complaints = [f"{name}: used, but not in .env.example" for name in sorted(used.keys() - told.keys())]
    complaints += [f"{name}: in .env.example, but not used" for name in sorted(told.keys() - used.keys())]
    complaints += [
        f"{name}: {told[name]!r} in .env.example, but {sorted(used[name])} in docker-compose.yml"
        for name in sorted(used.keys() & told.keys())
        if used[name] != {told[name]}
    ]
    return complaints


def check_example(example: str) -> list[str]:
    """.env.example holds no secret, says of each how to make it, and explains every variable in a comment above it."""
    complaints = []
    commands: dict[str, str] = {}
    above = ""
    for line in example.splitlines():
        if line.startswith("# make: "):
            commands["next"] = line
        elif line and not line.startswith("#"):
            commands[line.partition("=")[0]] = commands.pop("next", "")
            if not above:
                complaints.append(f"{line.partition('=')[0]}: no comment above it explains it")
        above = line if line else ""
    for name, value in read_example(example).items():
        if SECRET.search(name) and value:
            complaints.append(f"{name}: a secret with a value in .env.example")
        if SECRET.search(name) and name not in MAY_BE_EMPTY and not commands.get(name):
            complaints.append(f"{name}: .env.example does not say how to make it (# make: command)")
    return complaints


def is_job(service: Mapping[str, Any]) -> bool:
    """A service that does something and ends."""
    return service.get("restart") == "no"


def long_running(compose: Compose) -> list[tuple[str, Mapping[str, Any]]]:
    """Those that are no jobs."""
    return [(name, service) for name, service in compose["services"].items() if not is_job(service)]


def strings(tree: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text of the parsed file with where it stands; templates (x-…) come in where they are used."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            if place or not str(key).startswith("x-"):
                yield from strings(value, f"{place}.{key}" if place else str(key))
    elif isinstance(tree, list):
        for value in tree:
            yield from strings(value, place)
    elif tree is not None:
        yield place, str(tree)


def fill_defaults(text: str, values: Mapping[str, str] | None = None) -> str:
    """A text as Compose reads it: values where there are some, else the defaults; two dollars are one."""
    known = values or {}

    def fill(found: re.Match[str]) -> str:
        return known.get(found["name"]) or (found["rest"] or "" if found["form"] in ("-", ":-") else "")

    return VARIABLE.sub(fill, text).replace("$$", "$")


def read_example(example: str) -> dict[str, str]:
    """The variables of an .env file."""
    lines = [line for line in example.splitlines() if "=" in line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def load(folder: Path) -> tuple[dict[str, Any], str]:
    """The parsed docker-compose.yml and the text of .env.example of a folder."""
    return yaml.safe_load((folder / "docker-compose.yml").read_text()), (folder / ".env.example").read_text()


if __name__ == "__main__":
    complaints = check(*load(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parents[3]))
    print(*complaints, sep="\n", end="\n" if complaints else "")
    sys.exit(1 if complaints else 0)
