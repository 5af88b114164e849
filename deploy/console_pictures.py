"""Pictures of the console of a stack that is up, taken in a real browser: the documents show what there is, not what was drawn.

Rejected: a page with made-up data (it would go on looking well after the console had broken).
"""

import shutil
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, sync_playwright

from deploy.local.console import links
from deploy.local.stack import Stack, StackError

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZES: Final = {"desk": (1280, 800), "phone": (390, 844)}
WAIT_MS: Final = 60_000
SETTLE_MS: Final = 1_500


def take_pictures(state: Path, out: Path, instrument_id: int) -> list[Path]:
    """Write a picture of each page, light, dark and on a phone, and return their paths.

    Raises:
        StackError: No stack is up in ``state``, or there is no browser.
    """
    port = Stack(state).require_up().ports["api"]
    browser_path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser_path is None:
        raise StackError("no Chromium on this machine: deploy/browser.sh installs it")
    address = links(state, port)["viewer"]
    out.mkdir(parents=True, exist_ok=True)
    taken = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        try:
            for size, theme in (("desk", "light"), ("desk", "dark"), ("phone", "light")):
                width, height = SIZES[size]
                viewport: Any = {"width": width, "height": height}
                scheme: Any = theme
                context = browser.new_context(
                    viewport=viewport, color_scheme=scheme, device_scale_factor=2 if size == "phone" else 1
                )
                page = context.new_page()
                page.set_default_timeout(WAIT_MS)
                for name in ("overview", "instrument"):
                    _open(page, address, name, instrument_id=instrument_id)
                    picture = out / f"{name}-{size}-{theme}.png"
                    page.screenshot(path=str(picture))
                    taken.append(picture)
                context.close()
        finally:
            browser.close()
    return taken


def _open(page: Page, address: str, name: str, *, instrument_id: int) -> None:
    if name == "overview":
        page.goto(address)
        page.wait_for_selector(".cell")
    else:
        page.goto(f"{address.partition('#')[0]}#/instrument/{instrument_id}")
        page.wait_for_selector("#orders tr[data-order]")
        page.wait_for_selector("#why .cause")
    page.wait_for_timeout(SETTLE_MS)
