"""The pictures of the README, from a run on the recorded market: `make pictures`.

docs/images/brief.png is the first screen of the brief, docs/images/assets.png Dagster's graph of the layers.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from playwright.sync_api import Browser, sync_playwright

from tests import recorded
from tests.commandline import ROOT, environment

IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 300_000


def main() -> None:
    shared = Path(os.environ.get("ALTFLOW_SHARED", "../shared")).resolve()
    market = shared / "market"
    if not market.is_dir():
        sys.exit(f"no recorded market at {market}: set ALTFLOW_SHARED")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        sys.exit("no chromium: make browser installs it")
    data = recorded.run(market)
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        brief(browser, data)
        with dagster(data, market) as url:
            assets(browser, url)
        browser.close()
    for path in IMAGES.glob("*.png"):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
        if path.stat().st_size > MOST_BYTES:
            sys.exit(f"{path.name} is larger than {MOST_BYTES:,} bytes")


def brief(browser: Browser, data: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1240}, color_scheme="light")
    page.goto((data / "brief" / "index.html").as_uri())
    page.evaluate("window.altflowReady")
    page.screenshot(path=IMAGES / "brief.png")


def assets(browser: Browser, url: str) -> None:
    page = browser.new_page(viewport={"width": 1500, "height": 800}, color_scheme="light")
    page.goto(f"{url}/asset-groups")
    page.get_by_text("published", exact=True).last.wait_for()
    page.wait_for_timeout(3000)  # the graph moves into its place
    # The pane of the graph, without the lists on its left and the buttons on its right.
    page.screenshot(path=IMAGES / "assets.png", clip={"x": 545, "y": 130, "width": 910, "height": 580})


@contextmanager
def dagster(data: Path, market: Path) -> Iterator[str]:
    """The address of `altflow ui` on `data`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"SOURCE": "recorded", "MARKET_DIR": str(market)}
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration", "ui", "--port", str(port)],
        cwd=ROOT,
        env=environment(data, settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while True:
            try:
                requests.get(url, timeout=5)
                break
            except requests.RequestException:
                if time.monotonic() > until or process.poll() is not None:
                    sys.exit("Dagster's UI did not come up")
                time.sleep(1)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    main()
