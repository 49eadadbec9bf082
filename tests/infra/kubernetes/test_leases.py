"""infra/kubernetes: who holds a slot of a concurrency limit is known to Prefect's next server."""

import subprocess
from importlib import import_module
from pathlib import Path

import prefect.settings

from tests.infra.kubernetes.test_manifests import read_documents


def test_leases_outlive_the_servers_pod() -> None:
    (server,), (*_, claim) = read_documents("prefect-server.yaml"), read_documents("namespace.yaml")
    told = {each["name"]: each["value"] for each in server["server"]["env"]}
    assert claim["kind"] == "PersistentVolumeClaim"
    (volume,), (mount,) = server["server"]["extraVolumes"], server["server"]["extraVolumeMounts"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], told["PREFECT_HOME"])
    assert server["server"]["updateStrategy"]["type"] == "Recreate"  # two pods would not get the volume
    storage = import_module(told["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"])
    home = Path(told["PREFECT_HOME"])
    with prefect.settings.temporary_settings({prefect.settings.PREFECT_HOME: home}):
        kept = storage.ConcurrencyLeaseStorage().storage_path
    assert kept.is_relative_to(home)
    assert f"rm -f {kept}/expirations.lock;" in server["server"]["command"][2]


def test_the_servers_command_takes_away_a_dead_servers_lock_and_hands_on_the_charts_arguments(tmp_path: Path) -> None:
    """As in the pod, with a program that says what it is given in place of the image's."""
    (server,) = read_documents("prefect-server.yaml")
    leases, tini = tmp_path / "concurrency_leases", tmp_path / "tini"
    leases.mkdir()
    (leases / "expirations.lock").write_text("1")
    tini.write_text('#!/bin/sh\necho "$@"\n')
    tini.chmod(0o755)
    moved = {"/var/lib/prefect": str(tmp_path), "/usr/bin/tini": str(tini)}
    command = server["server"]["command"]
    for before, after in moved.items():
        command = [part.replace(before, after) for part in command]
    for _ in range(2):  # the second time there is none
        done = subprocess.run(
            [*command, "prefect", "server", "start", "--port", "4200"], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.split() == [
            "-g",
            "--",
            "/opt/prefect/entrypoint.sh",
            "prefect",
            "server",
            "start",
            "--port",
            "4200",
        ]
        assert [*leases.iterdir()] == []
