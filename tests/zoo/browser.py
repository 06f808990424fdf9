"""A headless browser for the tests of pages."""

import shutil
import time

import pytest

PROGRAMS = {"browser": ("chromium", "chromium-browser"), "driver": ("chromedriver",)}
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
PATIENCE_SECONDS = 60


def open_browser():
    """Start Chromium; tests are skipped without it, its driver or selenium."""
    webdriver = pytest.importorskip("selenium.webdriver")
    found = {
        kind: next(filter(None, map(shutil.which, names)), None) for kind, names in PROGRAMS.items()
    }
    if None in found.values():
        pytest.skip("needs the programs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = found["browser"]
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(found["driver"]))


def set_width(browser, width):
    """Show pages as on a screen of this width; 390 is a phone."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def wait_until(browser, condition, *arguments):
    """Wait until a JavaScript expression of `arguments` is true, and return its value."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        value = browser.execute_script(f"return {condition}", *arguments)
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{condition} was never true: {console(browser)}")


def console(browser):
    """The messages of the page's console since the last call."""
    return [entry["message"] for entry in browser.get_log("browser")]
