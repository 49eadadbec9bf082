"""`make_env.py > .env`: .env.example with every secret filled in, made by the command that stands above it (`# make: …`).

Needs nothing but Python and openssl. Values that are there stay: `make_env.py OLD_ENV > NEW_ENV` adds what a newer
version wants.
"""

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / ".env.example"
MARK = "# make: "


def fill(example: str, known: dict[str, str]) -> str:
    """The example with what is known already, and what is missing made anew."""
    lines, command = [], None
    for line in example.splitlines():
        name, is_variable, value = line.partition("=")
        if is_variable and not line.startswith("#"):
            value = known.get(name) or value or (make(command) if command else "")
            line = f"{name}={value}"
        command = line.removeprefix(MARK) if line.startswith(MARK) else None
        lines.append(line)
    return "\n".join(lines) + "\n"


def make(command: str) -> str:
    """What the command prints."""
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout.strip()


def read(file: Path) -> dict[str, str]:
    """The variables of an .env file."""
    lines = [line for line in file.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


if __name__ == "__main__":
    sys.stdout.write(fill(EXAMPLE.read_text(), read(Path(sys.argv[1])) if sys.argv[1:] else {}))
