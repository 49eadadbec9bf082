"""What README and docs/ name exists: files, settings, links and headings, commands. So does what comments and docstrings name."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli.main import parse_arguments
from infra.settings import PREFIX, Settings

CHECKOUT = Path(__file__).parents[1]
ROOMS = ("itrp", "serving", "infra", "flows", "tests")
HISTORY = {"docs/log.md", "CHANGELOG.md"}
"""They tell what was, under the names that files and settings had then."""
PAGES = sorted(
    {"README.md", "CONTRIBUTING.md", *(path.relative_to(CHECKOUT).as_posix() for path in CHECKOUT.glob("docs/**/*.md"))}
    - HISTORY
)
SOURCES = sorted(path for room in ROOMS for path in (CHECKOUT / room).rglob("*.py"))
NAMED_FILE = re.compile(rf"(?<![\w./-])((?:{'|'.join(ROOMS)}|docs)/[\w./-]*\.(?:py|md))\b")


def read_page(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def list_anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def list_links(name: str) -> Iterator[tuple[Path, str]]:
    """File and anchor ("" for none) of every link of a page that leads to another page of ours."""
    for target in re.findall(r"\]\(([^)\s]+)\)", read_page(name)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield (CHECKOUT / name).parent / path if path else CHECKOUT / name, anchor


def test_pages_are_found() -> None:
    assert {"README.md", "docs/data.md", "docs/operations.md", "docs/decisions.md"} <= {*PAGES}


def test_files_that_pages_name_exist() -> None:
    named = {(page, path) for page in PAGES for path in NAMED_FILE.findall(read_page(page))}
    assert len(named) > 5
    assert sorted((page, path) for page, path in named if not (CHECKOUT / path).exists()) == []


def test_files_that_code_names_exist() -> None:
    named = {
        (source.relative_to(CHECKOUT).as_posix(), path)
        for source in SOURCES
        for path in NAMED_FILE.findall(source.read_text(encoding="utf-8"))
    }
    assert len(named) > 5
    assert sorted((source, path) for source, path in named if not (CHECKOUT / path).exists()) == []


def test_modules_that_pages_start_exist() -> None:
    named = {
        module for page in PAGES for module in re.findall(r"-m ((?:flows|infra|tests)\.[\w.]+\w)", read_page(page))
    }
    assert {"flows.distributed", "tests.benchmarks.scaling"} <= named
    paths = {module: CHECKOUT / module.replace(".", "/") for module in named}
    assert [name for name, path in paths.items() if not (path.with_suffix(".py").exists() or path.is_dir())] == []


def test_settings_that_pages_name_exist() -> None:
    """Ours of Settings, and those that docker-compose.yml and .env.example bring."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {*re.findall(rf"\b{PREFIX}[A-Z_]+\b", read_page("docker-compose.yml") + read_page(".env.example"))}
    named = {(page, name) for page in PAGES for name in re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", read_page(page))}
    assert len(named) > 15
    assert sorted((page, name) for page, name in named if name not in known) == []


def test_the_readme_names_every_setting() -> None:
    table = read_page("README.md").split("## Settings")[1].split("\n## ")[0]
    full = table.replace("`…_SECRET_KEY`", "`ITRP_OBJECT_STORE_SECRET_KEY`")
    assert [name for name in Settings.model_fields if f"`{PREFIX}{name.upper()}`" not in full] == []


def test_links_lead_somewhere() -> None:
    links = [(page, path, anchor) for page in PAGES for path, anchor in list_links(page)]
    assert len(links) > 10
    assert [(page, path.name) for page, path, _ in links if not path.exists()] == []
    assert [
        (page, path.name, anchor) for page, path, anchor in links if anchor and anchor not in list_anchors(path)
    ] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != "README.md"])
def test_commands_of_pages_are_some(page: str) -> None:
    """Every `itrp …` of docs/; those without a gap parse as they stand. tests/test_readme.py looks at the README's."""
    text = read_page(page)
    lines = [line for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    commands = [line.partition("#")[0] for line in lines if line.startswith("itrp ")]
    commands += re.findall(r"`(itrp [a-z][^`]+)`", text)
    for command in commands:
        words = shlex.split(command)[1:]
        with pytest.raises(SystemExit) as shown:
            parse_arguments([words[0], "--help"])
        assert shown.value.code == 0, command
        if len(words) > 1 and not {"…", "key=value"} & {*words}:
            assert parse_arguments(words).command == words[0], command
