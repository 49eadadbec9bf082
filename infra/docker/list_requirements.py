"""`list_requirements.py PYPROJECT EXTRA...`: what a project depends on, one requirement a line, without the project itself."""

import sys
import tomllib
from pathlib import Path


def list_requirements(pyproject: Path, extras: list[str]) -> list[str]:
    """The dependencies and those of the extras."""
    project = tomllib.loads(pyproject.read_text())["project"]
    return [*project["dependencies"], *(each for extra in extras for each in project["optional-dependencies"][extra])]


if __name__ == "__main__":
    print(*list_requirements(Path(sys.argv[1]), sys.argv[2:]), sep="\n")
