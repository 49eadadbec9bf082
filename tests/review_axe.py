"""axe-core before a page: installed by npm at test time, at one version, into a folder that is thrown away."""

import shutil
import subprocess
from pathlib import Path

from playwright.sync_api import Page

PACKAGE = "axe-core@4.14.1"
GRAVE = ("serious", "critical")


def install_axe(folder: Path) -> str:
    """The source of axe-core. Raises FileNotFoundError without npm, CalledProcessError where the registry is away."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("expected npm on the PATH, found none: apt install npm")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), PACKAGE]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


def find_faults(page: Page, axe: str) -> list[str]:
    """Serious and critical faults of the page as it stands, one sentence each, by all rules of WCAG 2.2 A and AA."""
    page.evaluate(axe)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", tags)
    return [
        f"{page.url}: {fault['id']} ({fault['impact']}): {fault['help']}: {node['html'][:160]}"
        for fault in found["violations"]
        if fault["impact"] in GRAVE
        for node in fault["nodes"][:3]
    ]
