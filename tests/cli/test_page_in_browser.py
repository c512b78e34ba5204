"""The page of `egmt app` in a real browser; needs gradio, selenium and Chromium."""

import json
import os
import shutil
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import numpy as np
import pytest

from egmt_jax.io.images import read_image, write_png
from egmt_jax.testing import made_up_pair

pytest.importorskip("gradio", reason="gradio is not installed: extra [app]")
pytest.importorskip("selenium", reason="selenium is not installed: extra [browser]")
if not (shutil.which("chromium") and shutil.which("chromedriver")):
    pytest.skip("chromium and chromedriver are not installed", allow_module_level=True)

import portpicker
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 180  # seconds; the first fusion of a size compiles
CHROMIUM = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage --window-size=1400,1500"
)


@pytest.fixture(scope="module")
def server(trained, tmp_path_factory):
    """Address of `egmt app` in a process of its own."""
    folder = tmp_path_factory.mktemp("server")
    port = portpicker.pick_unused_port()
    command = [sys.executable, "-m", "egmt_jax", "app", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--checkpoint", str(trained)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(folder), "XDG_CACHE_HOME": str(folder / "caches")},
    ) as process:
        line = process.stdout.readline()
        yield line.split()[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert not list(folder.glob("egmt-app-*")), "images of users remain"
    assert list((folder / "caches" / "egmt-jax").iterdir()), "the next start compiles again"


@pytest.fixture
def browser(server, tmp_path):
    options = webdriver.ChromeOptions()
    for argument in (*CHROMIUM.split(), f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    options.add_experimental_option(
        "prefs", {"download.default_directory": str(tmp_path / "downloads")}
    )
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.get(server)
        wait(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "#visible input[type=file]"))
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def files(tmp_path):
    for name, image in zip(("vi", "ir"), made_up_pair(96, 128), strict=True):
        write_png(tmp_path / f"{name}.png", image)
    return tmp_path / "vi.png", tmp_path / "ir.png"


def wait(browser, condition):
    """The result of a condition, as soon as it is true."""
    return WebDriverWait(browser, PATIENCE, 0.3).until(lambda _: condition())


def upload(browser, name, path):
    browser.find_element(By.CSS_SELECTOR, f"#{name} input[type=file]").send_keys(str(path))
    wait(browser, lambda: path.stem in browser.find_element(By.ID, name).text)


def fuse(browser):
    browser.find_element(By.ID, "fuse").click()


def picture(browser):
    """URL of the fused image, which its content determines, or None."""
    found = browser.find_elements(By.CSS_SELECTOR, "#against-visible img")
    return found[-1].get_attribute("src") if found else None


def text(browser, name):
    found = browser.find_elements(By.ID, name)
    return found[0].text if found else ""


def hosts(browser):
    """The hosts of all requests of the page."""
    messages = [json.loads(row["message"])["message"] for row in browser.get_log("performance")]
    asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    urls = [urlsplit(each["request"]["url"]) for each in asked]
    return {url.hostname for url in urls if url.scheme in ("http", "https", "ws", "wss")}


def test_a_pair_is_fused_and_again_with_other_entities(browser, files, tmp_path):
    for name, path in zip(("visible", "infrared"), files, strict=True):
        upload(browser, name, path)
    fuse(browser)
    first = wait(browser, lambda: picture(browser))
    wait(browser, lambda: "Qabf" in text(browser, "scores"))
    assert browser.find_element(By.CSS_SELECTOR, "#attention img").is_displayed()

    browser.find_element(By.CSS_SELECTOR, "#entities input").click()
    listed = "#entities ul li, ul.options li"
    shown = wait(  # the list opens step by step
        browser,
        lambda: [o for o in browser.find_elements(By.CSS_SELECTOR, listed) if "%" in o.text],
    )
    option = shown[-1]
    option.click()
    wait(browser, lambda: picture(browser) not in (None, first))
    chosen = browser.find_element(By.CSS_SELECTOR, "#guidance input:checked")
    assert chosen.get_attribute("value") == "chosen"

    browser.save_screenshot(str(tmp_path / "page.png"))
    link = wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#download"))[0]
    link.click()
    (saved,) = wait(browser, lambda: list((tmp_path / "downloads").glob("*.png")))
    assert saved.name == "vi-fused.png"
    assert read_image(saved).shape == (96, 128, 3)
    assert hosts(browser) == {urlsplit(browser.current_url).hostname}


def test_a_file_that_is_not_an_image_gives_a_message(browser, files, tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    upload(browser, "visible", tmp_path / "text.png")
    upload(browser, "infrared", files[1])
    fuse(browser)
    wait(browser, lambda: "text.png: not a readable image" in text(browser, "notes"))
    page = browser.find_element(By.TAG_NAME, "body").text
    assert "Traceback" not in page
    assert str(tmp_path.parent) not in page
    assert picture(browser) is None


def test_a_huge_image_gives_a_message(browser, files, tmp_path):
    write_png(tmp_path / "large.png", np.zeros((5000, 5001), np.uint8))
    upload(browser, "visible", tmp_path / "large.png")
    upload(browser, "infrared", files[1])
    fuse(browser)
    wait(browser, lambda: "large.png: more than 25000000 pixels" in text(browser, "notes"))


def test_sessions_are_separate(browser, files, server):
    for name, path in zip(("visible", "infrared"), files, strict=True):
        upload(browser, name, path)
    fuse(browser)
    wait(browser, lambda: picture(browser))
    browser.switch_to.new_window("tab")
    browser.get(server)
    wait(browser, lambda: browser.find_elements(By.ID, "fuse"))
    assert picture(browser) is None
    fuse(browser)
    wait(browser, lambda: "no visible image" in text(browser, "notes"))


def test_a_picked_example_is_fused(browser):
    examples = wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#examples button"))
    examples[0].click()
    wait(browser, lambda: picture(browser))
    assert "0-visible" in text(browser, "visible")


def test_a_port_in_use_is_an_error_of_one_line(server, trained):
    command = [sys.executable, "-m", "egmt_jax", "app", "--checkpoint", str(trained)]
    port = str(urlsplit(server).port)
    done = subprocess.run([*command, "--port", port], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"127.0.0.1:{port}: cannot listen" in done.stderr
    assert "Traceback" not in done.stderr
