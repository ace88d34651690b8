"""What the page holds and what is kept out of it, without a browser."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from piumr.errors import PiumrError
from piumr.report import write_report

EVIL = "<script>document.title='harmed'</script><img src=x onerror=\"document.title='harmed'\">"


class Page(HTMLParser):
    """The elements of a page, and the texts of its scripts and styles."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts, self._inside = [], {"data": "", "script": "", "style": ""}, None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self._inside = "data" if ("type", "application/json") in attributes else tag

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, text):
        if self._inside:
            self.texts[self._inside] += text

    @property
    def data(self):
        return json.loads(self.texts["data"])


@pytest.fixture
def write(tmp_path, toy_set, evaluation_of):
    def page(**changes):
        evaluation = evaluation_of(toy_set, **changes)
        write_report(tmp_path / "report.html", evaluation)
        return Page(tmp_path / "report.html"), evaluation

    return page


def test_the_page_holds_the_figures_of_the_evaluation(write):
    page, evaluation = write()
    data, figures = page.data, evaluation.to_dict()
    shown = {row["name"]: row for row in data["headline"]}
    assert shown["accuracy"]["value"] == figures["accuracy"]
    assert shown["accuracy"]["interval"] == list(figures["intervals"]["accuracy"])
    assert shown["F1_mean"]["value"] == figures["f1_mean"]["mean"]
    confusion = np.zeros((3, 3), dtype=int)
    for true, predicted, count in data["confusion"]:
        confusion[true, predicted] = count
    np.testing.assert_array_equal(confusion, evaluation.classes.confusion)
    assert confusion.sum() == 48
    assert data["f1"] == pytest.approx([entry["f1"] for entry in figures["classes"].values()], abs=1e-4)
    accuracy = [person["accuracy"] for person in data["persons"]]
    assert accuracy == sorted(accuracy)
    assert {person["name"]: person["accuracy"] for person in data["persons"]} == figures["persons"]["by_person"]
    assert [person["clips"] for person in data["persons"]] == [12] * 4
    assert data["members"][0]["history"]["loss"] == pytest.approx([2, 1, 2 / 3, 0.5, 0.4], abs=1e-5)
    assert data["coarseNames"] == ["arm", "head"]


@pytest.mark.parametrize(
    "name", [EVIL, "</script>", "<!--<script>", "a\u2028b", "{{DATA}}{{SCRIPT}}", "\udcff", "__proto__"]
)
def test_names_are_data_and_nothing_else(write, toy_set, name):
    plain = write()[0]
    names = tuple(f"{name}{i}" for i in range(48))
    persons = tuple(f"{name}{person}" for person in toy_set.persons)
    page = write(
        names=names, persons=persons, class_names=(name, "x", "y"), coarse_names=(name, "z"), notes=[name], seed=3
    )[0]
    assert page.elements == plain.elements
    assert page.texts["script"] == plain.texts["script"]
    assert page.data["classes"][0] == name
    assert page.data["played"][0]["name"] in names
    assert name in page.data["notes"]


def test_only_the_pages_own_script_and_style_are_allowed_and_nothing_is_loaded(write, tmp_path):
    page = write()[0]
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.texts[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert [a[key] for _, a in page.elements for key in ("src", "href") if key in a] == ["data:,"]
    # the name of SVG's elements is no address to load from
    assert set(re.findall(r"https?:[^\"' ]*", (tmp_path / "report.html").read_text())) == {"http://www.w3.org/2000/svg"}


def test_another_page_is_not_replaced_and_an_earlier_report_is(tmp_path, toy_set, evaluation_of):
    evaluation, page = evaluation_of(toy_set), tmp_path / "report.html"
    page.write_text("<html>my own report</html>")
    with pytest.raises(PiumrError, match="somebody else's"):
        write_report(page, evaluation)
    assert "my own" in page.read_text()
    page.unlink()
    write_report(page, evaluation)
    first = page.read_bytes()
    write_report(page, evaluation)
    assert page.read_bytes() == first


def test_sets_without_persons_coarse_classes_or_history(write):
    page, _ = write(persons=None, coarse=None, coarse_names=None)
    assert page.data["persons"] == []
    assert page.data["coarse"] is None
    assert page.data["played"][0]["person"] is None
