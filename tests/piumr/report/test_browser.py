"""The page in a browser: what is shown, played, reached and read, and that nothing is loaded."""

import json
import re

import numpy as np
import pytest

from piumr.report import write_report

pytestmark = pytest.mark.slow

EVIL = "<script>document.title='harmed'</script><img src=x onerror=\"document.title='harmed'\">"


@pytest.fixture(scope="module")
def toy(toy_set, evaluation_of):
    """Two runs over the toy set, with names that try to be more than names, and a person of few clips."""
    persons = ("seldom", *toy_set.persons[1:])
    return evaluation_of(toy_set, members=2, persons=persons, class_names=(EVIL, "nod", "wave"), notes=[EVIL])


@pytest.fixture(scope="module")
def page(toy, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(path, toy)
    return path


def open_page(browser, path, width=1200, height=900, scheme="light", motion="no-preference"):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(path.as_uri())


def find(browser, selector):
    from selenium.webdriver.common.by import By

    return browser.find_element(By.CSS_SELECTOR, selector)


def texts(browser, selector):
    script = "return [...document.querySelectorAll(arguments[0])].map(n => n.textContent.replaceAll('\\u00a0', ' '))"
    return browser.execute_script(script, selector)


def wait(browser, condition):
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 10, poll_frequency=0.05).until(lambda _: condition())


def press(browser, *keys):
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def settled(browser, selector):
    """What a canvas shows once the page has laid it out and it stays the same for a while."""
    seen = [""]

    def same():
        seen.append(picture(browser, selector))
        return len(seen) > 10 and len(set(seen[-10:])) == 1  # for half a second

    wait(browser, same)
    return seen[-1]


def picture(browser, selector, index=0):
    """The pixels of a canvas, as text."""
    script = "return document.querySelectorAll(arguments[0])[arguments[1]].toDataURL()"
    return browser.execute_script(script, selector, index)


def test_figures_lists_and_safety(browser, page, toy):
    open_page(browser, page)
    figures = toy.to_dict()
    cards = dict(zip(texts(browser, ".figure .name"), texts(browser, ".figure .value"), strict=True))
    for name, value in (
        ("accuracy", figures["accuracy"]),
        ("F1_mean", figures["f1_mean"]["mean"]),
        ("calibration error", figures["calibration"]["error"]),
    ):
        assert float(cards[name].split()[0]) == pytest.approx(100 * value, abs=0.051), name
    assert cards["latency of one clip"].startswith("2.5 ms, 2 CPU threads")
    low, high = figures["intervals"]["accuracy"]
    ends = [float(end) for end in texts(browser, ".figure .between")[0].split(" to ")]
    assert ends == pytest.approx([100 * low, 100 * high], abs=0.051)
    assert texts(browser, "#persons-apart") == ["No test person was in training"]
    assert EVIL in texts(browser, "#notes li")
    assert [row[:4] for row in texts(browser, "#members tbody tr")][-2:] == ["run0", "run1"]
    people = texts(browser, "#person-bars .label")
    assert sorted(people) == ["p0", "p1", "p2", "p3", "seldom"]
    by_person = figures["persons"]["by_person"]
    assert [by_person[name] for name in people] == sorted(by_person.values())
    assert texts(browser, "#person-bars .few .label") == ["seldom"]
    f1 = {name: entry["f1"] for name, entry in figures["classes"].items()}
    assert texts(browser, "#class-bars .label") == sorted(f1, key=f1.get)
    find(browser, "#sort-classes").send_keys("order of the set")
    assert texts(browser, "#class-bars .label") == [EVIL, "nod", "wave"]
    assert len(texts(browser, "#curves figure")) == 3  # loss, accuracy, and a quantity nobody told the page about
    assert re.fullmatch(r"toy: [\d.]+\s% of 48 clips", browser.title)
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    assert {url.split(":")[0] for url in requested} <= {"file", "data"}
    assert [url for url in requested if url.startswith("file")] == [page.as_uri()]


def test_the_matrix_tells_its_cells_to_the_pointer_and_to_the_keyboard(browser, page, toy):
    from selenium.webdriver import ActionChains, Keys

    open_page(browser, page)
    confusion, names = toy.classes.confusion, toy.clips.class_names
    canvas = find(browser, "#matrix")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas)
    wait(browser, lambda: canvas.size["height"] > 50)

    def said():
        return texts(browser, "#cell")[0]

    def expected(i, j, labels=names, counts=confusion):
        share = f"({round(100 * counts[i][j] / sum(counts[i]))} % of {sum(counts[i])})"
        verb = " recognised in " if i == j else f" taken for {labels[j]} in "
        return f"{labels[i]}{verb}{counts[i][j]} clip{'s' * (counts[i][j] != 1)} {share}."

    # by hand of the user: columns and rows start where the labels end, cells are squares at the right and bottom
    sides = browser.execute_script(
        "const box = arguments[0].getBoundingClientRect(); return [box.left, box.top, box.width, box.height]", canvas
    )
    found = set()
    for x in np.linspace(0.3, 0.85, 9):
        for y in np.linspace(0.35, 0.98, 9):
            point = ActionChains(browser, duration=0)
            point.move_to_element_with_offset(canvas, (x - 0.5) * sides[2], (y - 0.5) * sides[3]).perform()
            found.add(said())
    assert {expected(i, j) for i in range(3) for j in range(3)} <= found
    browser.execute_script("arguments[0].focus()", canvas)
    press(browser, Keys.HOME, Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_UP)
    assert said() == expected(0, 0)
    for key, cell in (
        (Keys.ARROW_RIGHT, (0, 1)),
        (Keys.ARROW_DOWN, (1, 1)),
        (Keys.END, (1, 2)),
        (Keys.ARROW_RIGHT, (1, 2)),
    ):
        press(browser, key)
        assert said() == expected(*cell)
    ActionChains(browser).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
    press(browser, Keys.ARROW_RIGHT)  # from classes to body parts
    parts = np.zeros((2, 2), dtype=int)
    for i, row in enumerate(confusion):
        for j, count in enumerate(row):
            parts[toy.clips.coarse[i], toy.clips.coarse[j]] += count
    press(browser, Keys.TAB, Keys.HOME, Keys.ARROW_RIGHT)
    assert said() == expected(0, 1, ("arm", "head"), parts.tolist())


def test_many_classes_are_listed_in_part_and_the_matrix_still_answers(tmp_path, browser, toy_set, evaluation_of):
    from selenium.webdriver import Keys

    names = tuple(f"class {i}" for i in range(200))
    write_report(tmp_path / "report.html", evaluation_of(toy_set, class_names=names, coarse=None, coarse_names=None))
    open_page(browser, tmp_path / "report.html", motion="reduce")
    assert len(texts(browser, "#class-bars li")) == 80
    more = find(browser, '[data-of="class-bars"]')
    assert more.text == "Show all 200"
    browser.execute_script("arguments[0].click()", more)
    assert len(texts(browser, "#class-bars li")) == 200
    find(browser, "#sort-classes").send_keys("most clips first")
    assert texts(browser, "#class-bars .label")[:3] == ["class 0", "class 1", "class 2"]
    browser.execute_script("document.getElementById('matrix').focus()")
    press(browser, Keys.END)
    assert texts(browser, "#cell") == ["class 0 taken for class 199 in 0 clips (0 % of 16)."]
    assert find(browser, "#level").is_displayed() is False
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.get_log("browser") == []


def test_skeletons_play_pause_seek_slow_down_and_zoom(browser, page, toy):
    from selenium.webdriver.support.select import Select

    open_page(browser, page, motion="reduce")  # nothing moves unasked
    stages = ".stage canvas"
    browser.execute_script("document.getElementById('typical').scrollIntoView({behavior: 'instant'})")
    card = "#typical-cards li .stage canvas"
    blank = browser.execute_script(
        "const c = document.createElement('canvas'); c.width = c.height = 1; return c.toDataURL()"
    )
    wait(browser, lambda: len(picture(browser, card)) > 10 * len(blank))
    first = settled(browser, card)
    assert texts(browser, "#play-all") == ["▶ Play all"]
    assert picture(browser, card) == first
    errors = len(texts(browser, "#error-cards > li"))
    assert errors > 2
    assert len(browser.execute_script("return [...document.querySelectorAll(arguments[0])]", stages)) == 3 * errors + 3

    slider = "#typical-cards li input[type=range]"
    seek = "const s = document.querySelector(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('input'))"
    browser.execute_script(seek, slider, 500)
    middle = picture(browser, card)
    assert middle != first
    browser.execute_script(seek, slider, 0)
    assert picture(browser, card) == first
    row = toy.clips.names.index(re.search(r"p\d/c\d_t\d", texts(browser, "#typical-cards li")[0])[0])
    seconds = float(np.diff(toy.store.offsets.numpy())[row]) / 30
    assert f"of {seconds:.1f} seconds" in find(browser, slider).get_attribute("aria-valuetext")

    find(browser, "#zoom").click()
    assert picture(browser, card) != first
    find(browser, "#zoom").click()
    assert picture(browser, card) == first

    def position():
        return int(find(browser, slider).get_attribute("value"))

    Select(find(browser, "#speed")).select_by_visible_text("1/10")
    button = find(browser, "#typical-cards li .scrub button")
    button.click()
    assert button.get_attribute("aria-label").startswith("Pause ")
    wait(browser, lambda: position() > 30)
    moving = picture(browser, card)
    assert moving != first
    button.click()
    stopped = position()
    still = picture(browser, card)
    assert position() == stopped
    assert picture(browser, card) == still
    find(browser, "#play-all").click()
    assert texts(browser, "#play-all") == ["❚❚ Pause all"]
    wait(browser, lambda: position() != stopped)

    field = find(browser, "#filter")
    field.send_keys("wav")
    shown = "return [...document.querySelectorAll('#typical-cards > li')].filter(n => !n.hidden).map(n => n.id)"
    assert browser.execute_script(shown) == ["class-2"]
    assert texts(browser, "#shown") == ["1 of 3 classes"]
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("width", [320, 360, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read_in_the_dark(
    tmp_path, browser, contrast, toy_set, evaluation_of, width, scheme
):
    long = "x" * 150
    names = (long, "two words", "scratching or touching the forehead with a hand")
    clips = tuple(f"{long}/{name}" for name in toy_set.names)
    evaluation = evaluation_of(
        toy_set, members=2, names=clips, class_names=names, coarse_names=(long, "b"), notes=[long]
    )
    write_report(tmp_path / "report.html", evaluation)
    open_page(browser, tmp_path / "report.html", width=width, height=800, scheme=scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    selectors = (
        "h2",
        "#facts",
        "#persons-apart",
        ".figure .name",
        "#notes li",
        "td",
        "nav a",
        ".bars .label",
        ".value small",
    )
    for selector in (
        *selectors,
        ".verdict .wrong",
        ".verdict .right",
        ".meta",
        ".stage figcaption",
        "figcaption small span",
    ):
        assert contrast(browser, selector) >= 4.5, selector  # WCAG 2.1, 1.4.3, level AA


def test_everything_is_reached_with_the_keyboard(browser, page):
    from selenium.webdriver import Keys

    open_page(browser, page, motion="reduce")
    reached = []
    for _ in range(120):
        press(browser, Keys.TAB)
        node = browser.switch_to.active_element
        outline = browser.execute_script(
            "const n = arguments[0].type === 'radio' ? arguments[0].nextElementSibling : arguments[0];"
            "return getComputedStyle(n).outlineStyle",
            node,
        )
        name = node.get_attribute("id") or node.get_attribute("class") or node.get_attribute("type") or node.tag_name
        if node.tag_name == "body":
            break
        assert outline != "none", name  # where the focus is can be seen
        reached.append(name)
    order = ["radio", "matrix", "sort-classes", "bin", "play-all", "speed", "trails", "zoom", "range", "filter"]
    places = [reached.index(name) for name in order]
    assert places == sorted(places)
    nameless = """
        const named = n => n.getAttribute("aria-label") || n.textContent.trim() || n.labels?.length;
        const nodes = [...document.querySelectorAll("button, input, select, canvas")];
        return nodes.filter(n => !named(n)).map(n => n.outerHTML);
        """
    assert browser.execute_script(nameless) == []
