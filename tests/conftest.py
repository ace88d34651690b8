"""What all tests share: one thread, and the folder of real data, where it is present."""

import os
import re
import shutil
from pathlib import Path

import pytest

# small tensors gain nothing from threads and lose much by them on a busy machine; for child processes too
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PIUMR_CACHE"] = ""  # nothing outside the tests' own folders

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real videos and skeleton sets beside the repository; tests that need it skip without it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data folder ../shared/data is not present")
    return SHARED_DATA


@pytest.fixture(scope="session")
def start_chromium():
    """A function that starts headless Chromium, with further arguments, which logs what it requests; close it."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs chromium and chromedriver on the PATH (Debian: apt-get install chromium chromium-driver)")

    def start(*arguments: str) -> webdriver.Chrome:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        window = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900")
        for argument in (*window, *arguments):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        return webdriver.Chrome(options=options, service=Service(driver))  # named: nothing is downloaded

    return start


@pytest.fixture(scope="module")
def browser(start_chromium):
    with start_chromium() as chrome:
        yield chrome


@pytest.fixture(scope="session")
def contrast():
    return text_contrast


def text_contrast(browser, selector):
    """Ratio of the relative luminances of a text and of what is behind it (WCAG 2.1)."""
    import numpy as np  # only now: above, the number of threads was not yet set

    colours = browser.execute_script(
        """
        const node = document.querySelector(arguments[0]);
        let behind = node;
        while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
        return [getComputedStyle(node).color, getComputedStyle(behind).backgroundColor];
        """,
        selector,
    )
    values = np.array([[int(number) for number in re.findall(r"\d+", colour)[:3]] for colour in colours]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    darker, lighter = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (lighter + 0.05) / (darker + 0.05)
