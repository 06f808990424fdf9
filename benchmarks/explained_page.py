"""Photograph a page of `lnn explain` for docs/explain.md: docs/explain.png and docs/playground.png.

    python -m benchmarks.explained_page

needs Chromium, its driver and selenium (extra `test`).
"""

import io
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.arguments import argument_parser

DOCS = Path(__file__).parent.parent / "docs"
PRESET, WIDTH, COLOURS = "half-cheetah-micro", 860, 64
SECONDS_TO_START = 60


def main() -> None:
    """Write the page of a preset, and photograph its beginning and its playground."""
    from selenium import webdriver

    argument_parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = ["-c", "from zoo.cli.main import main; main()", "explain", PRESET]
        subprocess.run([sys.executable, *command, "--out", folder], check=True)
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
            options.add_argument(argument)
        options.add_argument(f"--window-size={WIDTH},4000")
        # Without them, selenium looks for a browser on the network.
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
        browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            browser.get((Path(folder) / "index.html").as_uri())
            _wait_for_playground(browser)
            playground = browser.find_element("id", "playground").rect
            picture = _screenshot(browser)
        finally:
            browser.quit()
    top = int(playground["y"])
    bottom = top + int(playground["height"])
    _save(picture.crop((0, 0, WIDTH, top)), DOCS / "explain.png")
    _save(picture.crop((0, top, WIDTH, bottom + 10)), DOCS / "playground.png")


def _wait_for_playground(browser) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end:
        state = browser.find_element("id", "playground").get_attribute("data-state")
        if state != "starting":
            return
        time.sleep(0.1)
    raise TimeoutError("The playground did not start.")


def _screenshot(browser):
    from PIL import Image

    return Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")


def _save(picture, path: Path) -> None:
    picture.quantize(COLOURS).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
