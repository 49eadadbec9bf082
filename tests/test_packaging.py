"""What pyproject.toml puts into a wheel beside the code."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("itrp", "serving", "infra", "flows")


def test_every_file_that_is_not_code_is_named_as_package_data() -> None:
    """Templates and prompts are read at run time: from a checkout they are always there, from a wheel only if named."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packed = {path for room, patterns in named.items() for each in patterns for path in (ROOT / room).glob(each)}
    files = {path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()}
    # for those who run the platform from a checkout: nothing in them is read by what a wheel brings
    data = {
        path for path in files if path.suffix not in (".py", ".pyc") and not {"docker", "kubernetes"} & {*path.parts}
    }
    assert len(data) >= 4
    assert sorted(data - packed) == []
