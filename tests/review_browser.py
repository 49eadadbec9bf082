"""The review page as a process, and a real browser before it: Playwright's API, Debian's Chromium."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, sync_playwright

from flows.platform import Platform
from tests.ports import free_ports

START_SECONDS = 180.0


def find_chromium() -> str | None:
    """The program: CHROMIUM's, Debian's Chromium, or Chrome; None when there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next((found for name in names if (found := shutil.which(name))), None)


NEEDS_CHROMIUM = pytest.mark.skipif(
    # continuous integration installs it (.ci/run): there its absence is a failure
    find_chromium() is None and "CI" not in os.environ,
    reason="needs Chromium (Debian's package chromium will do)",
)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Chromium without a window. --no-sandbox: in containers its sandbox has no rights."""
    program = find_chromium()
    if program is None:
        raise FileNotFoundError("expected Chromium on the PATH, found none: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


class PageServer:
    """`itrp review` as a process on a port that stays the same when it is started again."""

    def __init__(self, folder: Path, person: str, settings: Mapping[str, str] | None = None) -> None:
        self.port = free_ports(1)[0]
        self.address = f"http://127.0.0.1:{self.port}"
        self._log = folder / "review.log"
        self._command = [str(Path(sys.executable).with_name("itrp")), "review", "--port", str(self.port)]
        if not settings or "ITRP_REVIEW_SECRET" not in settings:
            self._command += ["--person", person]
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ITRP_", "PREFECT_"))}
        self._environment = {**own, "ITRP_WORK_DIR": str(folder), **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            # a shell's background job ignores SIGINT, and so would what it starts
            restored = signal.signal(signal.SIGINT, signal.default_int_handler)
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
            signal.signal(signal.SIGINT, restored)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the page does not answer:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.address}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def kill(self) -> None:
        """As a power cut does: SIGKILL."""
        assert self._process is not None
        self._process.kill()  # nothing happens to one that has ended
        self._process.wait(10)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(30)

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return self._log.read_text()


@contextmanager
def serve_page(platform: Platform, person: str) -> Iterator[str]:
    """The page of a work folder in a process of its own, for one person; its address."""
    server = PageServer(platform.settings.work_dir, person)
    server.start()
    try:
        yield server.address
    finally:
        server.stop()
