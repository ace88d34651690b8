"""The page of all clips: what is in it, what is kept out of it, and how it behaves in a browser."""

import base64
import hashlib
import json
import os
import re
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

import pytest

from pose_extract import contact_sheet
from pose_extract.contact_sheet import write_contact_sheet
from pose_extract.index import rebuild_index
from pose_extract.preview import preview_file, strip_file
from pose_extract.schema import PoseError, write_poses

EVIL = "<script>document.title='harmed'</script><img src=x onerror=\"document.title='harmed'\">"
PICTURE = base64.b64decode(  # a JPEG of one pixel
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkKDA8MCgsOCwkJDRENDg8QEBEQCgwSExIQEw8Q"
    "EBD/yQALCAABAAEBAREA/8wABgAQEAX/2gAIAQEAAD8A0s8g/9k="
)


class Page(HTMLParser):
    """The elements of a page, and the data inside."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.data, self.script, self._inside = [], "", "", None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "script":
            self._inside = "data" if ("type", "application/json") in attributes else "script"

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, text):
        if self._inside:
            setattr(self, self._inside, getattr(self, self._inside) + text)

    @property
    def rows(self):
        return {row["name"]: row for row in json.loads(self.data)}


def write_index(out, *rows):
    empty = {"source": None, "status": "ok", "reason": None, "frames": 10, "warnings": []}
    empty |= dict.fromkeys(("body", "left_hand", "right_hand"))
    out.mkdir(parents=True, exist_ok=True)
    (out / "index.jsonl").write_text("".join(json.dumps(empty | row) + "\n" for row in rows))
    return out


def add_preview(out, name, content=PICTURE):
    cache = out / f"{name}.npz"
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.touch()
    for path in (preview_file(cache), strip_file(cache)):
        path.write_bytes(content)


def test_the_page_holds_what_the_index_does(tmp_path, make_sequence):
    clip = make_sequence(T=10)
    clip.valid[:4] = False
    clip.meta["warnings"] = ["too dark"]
    write_poses(tmp_path / "sub" / "a.npz", clip)
    (tmp_path / "b.error.json").write_text(json.dumps({"reason": "no video", "source": {"path": "b.mp4"}}))
    rebuild_index(tmp_path)
    assert write_contact_sheet(tmp_path) == tmp_path / "index.html"
    page = Page(tmp_path / "index.html")
    index = {row["name"]: row for row in map(json.loads, (tmp_path / "index.jsonl").read_text().splitlines())}
    assert page.rows == {name: {**row, "strip": None, "preview": None} for name, row in index.items()}
    assert page.rows["sub/a"]["body"] == 0.6


def test_small_pages_hold_their_strips_and_large_ones_link_to_them(tmp_path, monkeypatch):
    write_index(tmp_path, {"name": "sub/a b#1"}, {"name": "plain"})
    add_preview(tmp_path, "sub/a b#1")
    row = Page(write_contact_sheet(tmp_path)).rows["sub/a b#1"]
    assert base64.b64decode(row["strip"].removeprefix("data:image/jpeg;base64,")) == PICTURE
    assert row["preview"] == "sub/a%20b%231.preview.mp4"
    monkeypatch.setattr(contact_sheet, "EMBEDDED", len(PICTURE) - 1)
    rows = Page(write_contact_sheet(tmp_path)).rows
    assert rows["sub/a b#1"]["strip"] == "sub/a%20b%231.strip.jpg"
    assert rows["plain"]["strip"] is rows["plain"]["preview"] is None


def test_previews_of_other_poses_are_left_out(tmp_path):
    write_index(tmp_path / "out", {"name": "stale"}, {"name": "failed", "status": "failed"}, {"name": "../outside"})
    for name in ("stale", "failed", "../outside"):
        add_preview(tmp_path / "out", name)
    later = strip_file(tmp_path / "out" / "stale.npz").stat().st_mtime_ns + 1
    os.utime(tmp_path / "out" / "stale.npz", ns=(later, later))
    rows = Page(write_contact_sheet(tmp_path / "out")).rows
    assert [row["strip"] or row["preview"] for row in rows.values()] == [None, None, None]


@pytest.mark.parametrize("name", [EVIL, "</script>", "<!--<script>", "a\u2028b", "CLIPS_JSON SCRIPT_SHA256", "\udcff"])
def test_names_are_data_and_nothing_else(tmp_path, name):
    write_index(tmp_path, {"name": "x"})
    plain = Page(write_contact_sheet(tmp_path))
    write_index(tmp_path, {"name": name, "reason": name, "source": name, "warnings": [name]})
    page = Page(write_contact_sheet(tmp_path))
    assert page.elements == plain.elements
    assert page.rows[name]["warnings"] == [name]


def test_a_name_that_is_no_text_is_linked_by_its_bytes(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    try:
        add_preview(tmp_path, name)
    except OSError:
        pytest.skip("this file system wants names to be UTF-8")
    write_index(tmp_path, {"name": name})
    link = Page(write_contact_sheet(tmp_path)).rows[name]["preview"]
    assert unquote_to_bytes(link) == b"caf\xe9.preview.mp4"


def test_only_the_pages_own_script_may_run_and_nothing_is_loaded(tmp_path):
    page = Page(write_contact_sheet(write_index(tmp_path, {"name": "a"})))
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    links = [a[key] for _, a in page.elements for key in ("src", "href") if key in a]
    assert links == ["data:,"]
    assert not re.search(r"https?:", (tmp_path / "index.html").read_text())


def test_without_an_index_or_with_a_damaged_one_there_is_a_reason(tmp_path):
    with pytest.raises(PoseError, match=r"index\.jsonl does not exist"):
        write_contact_sheet(tmp_path)
    for content in (b"{", b"[]\n", b'{"name": 3}\n', b"\xff\n", b"[" * 100_000):
        (tmp_path / "index.jsonl").write_bytes(content)
        with pytest.raises(PoseError, match=r"index\.jsonl is damaged"):
            write_contact_sheet(tmp_path)
    assert not (tmp_path / "index.html").exists()


def open_page(browser, path):
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(path.as_uri())


def shown_names(browser):
    return browser.execute_script("return [...document.querySelectorAll('#clips h2')].map(node => node.textContent)")


def requests(browser):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def choose(browser, order, reverse=False):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.select import Select

    Select(browser.find_element(By.ID, "sort")).select_by_value(order)
    box = browser.find_element(By.ID, "reverse")
    if box.is_selected() != reverse:
        box.click()


ROWS = [
    {"name": "clip10", "body": 1.0, "left_hand": 0.9, "right_hand": 0.1, "warnings": ["too dark"]},
    {"name": "clip2", "body": 0.9, "left_hand": 1.0, "right_hand": 1.0, "source": "clip2.mov"},
    {"name": "body only", "body": 0.95},
    {"name": "nobody", "status": "empty", "body": 0.0, "left_hand": 0.0, "right_hand": 0.0},
    {"name": EVIL, "status": "failed", "reason": "its index is missing", "frames": 0, "warnings": ["one", EVIL]},
]


@pytest.mark.slow
def test_sorting_filtering_and_safety_in_a_browser(tmp_path, browser):
    from selenium.webdriver.common.by import By

    write_index(tmp_path, *ROWS)
    add_preview(tmp_path, "clip2")
    open_page(browser, write_contact_sheet(tmp_path))
    assert shown_names(browser) == [EVIL, "nobody", "clip10", "body only", "clip2"]
    expected = {
        "name": [EVIL, "body only", "clip2", "clip10", "nobody"],
        "body": ["nobody", "clip2", "body only", "clip10", EVIL],
        "left_hand": ["nobody", "clip10", "clip2", EVIL, "body only"],
        "right_hand": ["nobody", "clip10", "clip2", EVIL, "body only"],
        "warnings": [EVIL, "clip10", "body only", "clip2", "nobody"],
    }
    for order, names in expected.items():
        choose(browser, order)
        assert shown_names(browser) == names
    choose(browser, "name", reverse=True)
    assert shown_names(browser) == expected["name"][::-1]

    choose(browser, "worst")
    field = browser.find_element(By.ID, "filter")
    for text, names in [
        ("FAILED", [EVIL]), ("missing index", [EVIL]), ("dark", ["clip10"]), ("clip .mov", ["clip2"]),
        ("<img", [EVIL]), ("nothing of the kind", []),
    ]:  # fmt: skip
        field.clear()
        field.send_keys(text)
        assert shown_names(browser) == names
        assert browser.find_element(By.ID, "shown").text == f"{len(names)} of 5 clips"
    field.clear()
    field.send_keys("clip2\n")  # Enter does not leave the page

    image = browser.find_element(By.CSS_SELECTOR, "#clips img")
    assert browser.execute_script("return arguments[0].complete && arguments[0].naturalWidth", image) == 1
    assert browser.find_element(By.LINK_TEXT, "overlay video").get_attribute("href").endswith("/clip2.preview.mp4")
    widths = browser.execute_script("return [...document.querySelectorAll('.bar i')].map(bar => bar.style.width)")
    assert widths == ["90%", "100%", "100%"]
    assert browser.title == "Extracted poses"
    assert browser.get_log("browser") == []
    assert {url.split(":")[0] for url in requests(browser)} == {"file", "data"}
    assert [url for url in requests(browser) if url.startswith("file")] == []


@pytest.mark.slow
def test_a_large_page_links_its_strips_and_builds_rows_as_they_are_needed(tmp_path, browser, monkeypatch):
    from selenium.webdriver.support.wait import WebDriverWait

    monkeypatch.setattr(contact_sheet, "EMBEDDED", 0)
    kinds = [["w"], [], None, "a text", [None, 3]]  # of warnings: another program's cache may hold anything
    clips = ({"name": f"clip{i}", "body": i / 20_000, "warnings": kinds[i % 5]} for i in range(20_000))
    write_index(tmp_path, *clips)
    add_preview(tmp_path, "clip0")
    open_page(browser, write_contact_sheet(tmp_path))
    assert shown_names(browser)[:3] == ["clip0", "clip1", "clip2"]
    assert len(shown_names(browser)) < 500
    # the linked picture is loaded, the content security policy notwithstanding
    loaded = "const image = document.querySelector('#clips img'); return image.complete && image.naturalWidth === 1"
    WebDriverWait(browser, 10).until(lambda _: browser.execute_script(loaded))
    before = len(shown_names(browser))
    browser.execute_script("scrollTo(0, document.body.scrollHeight)")
    WebDriverWait(browser, 10).until(lambda _: len(shown_names(browser)) > before)
    assert browser.get_log("browser") == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read_in_the_dark(tmp_path, browser, contrast, width, scheme):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    long_name = "interviews/" + "x" * 200
    write_index(tmp_path, *ROWS, {"name": long_name, "reason": "y" * 300, "status": "failed", "warnings": ["z" * 300]})
    add_preview(tmp_path, "clip2")
    open_page(browser, write_contact_sheet(tmp_path))
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    for selector in ("h2", ".facts", ".reason", ".notes", ".none", ".status", "a", "#shown"):
        assert contrast(browser, selector) >= 4.5, selector  # WCAG 2.1, 1.4.3, level AA


@pytest.mark.slow
def test_everything_is_reached_with_the_keyboard(tmp_path, browser):
    from selenium.webdriver import ActionChains, Keys

    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    write_index(tmp_path, *ROWS)
    add_preview(tmp_path, "clip2")
    open_page(browser, write_contact_sheet(tmp_path))
    reached = []
    for _ in range(5):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        focused = browser.switch_to.active_element
        reached.append(focused.get_attribute("id") or focused.get_attribute("class") or focused.tag_name)
    assert reached == ["filter", "sort", "reverse", "a", "strip"]
