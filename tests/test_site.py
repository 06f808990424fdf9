"""The documentation site in a headless browser, from a folder, as a reader without a network."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "zoo"))
from browser import console, open_browser, set_width, wait_until

ROOT = Path(__file__).parent.parent
PAGES = [
    "index",
    "quick-start",
    "concepts",
    "cells/liquid",
    "zoo",
    "zoo/half-cheetah-micro",
    "microcontrollers",
    "api/cells",
]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    subprocess.run([*command, "--site-dir", folder], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def browser():
    opened = open_browser()
    yield opened
    opened.quit()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_and_has_no_error(site, browser, page, width):
    set_width(browser, width)
    console(browser)
    browser.get((site / f"{page}.html").as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    images = "[...document.querySelectorAll('main img')].every(e => e.complete && e.naturalWidth)"
    wait_until(browser, images)
    assert console(browser) == []


def test_formulas_are_formulas(site, browser):
    browser.get((site / "cells/liquid.html").as_uri())
    count = browser.execute_script("return document.querySelectorAll('math').length")
    assert count >= 8
    assert "\\frac" not in browser.execute_script("return document.querySelector('main').innerText")


def test_search_works_without_a_network(site, browser):
    set_width(browser, 1280)
    browser.get((site / "index.html").as_uri())
    field = browser.find_element("css selector", ".md-search__input")
    field.click()
    wait_until(browser, "document.querySelector('#__search').checked")
    field.send_keys("moebius")
    wait_until(
        browser, "document.querySelector('.md-search-result').innerText.includes('DiagonalLiquid')"
    )
