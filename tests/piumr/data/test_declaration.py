import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import piumr
from piumr.data.declaration import (
    LabelRule,
    PersonRule,
    datasets_folder,
    find_declaration,
    load_declaration,
    own_clips,
    shipped_datasets,
)
from piumr.data.formats.npz import Npz
from piumr.data.protocols import GENERIC, Persons
from piumr.errors import PiumrError

TOML = """
title = "Mine"
citation = "none"
licence = "mine"
source = "here"
format = "npz"
layout = "kinect-20"
fps = 30
classes = "classes.csv"
coarse = "group"
protocol = "a-to-b"

[options]
file = "mine.npz"

[person]
column = "subject"

[protocols.a-to-b]
kind = "persons"
train = ["a"]
test = ["b"]
"""
CLASSES = "id,name,group\n0,nod,head\n1,wave,arm\n2,shake,head\n"


def write(folder, toml=TOML, classes=CLASSES):
    (folder / "dataset.toml").write_text(toml, encoding="utf-8")
    (folder / "classes.csv").write_text(classes, encoding="utf-8")
    return folder / "dataset.toml"


def test_a_declaration_of_ones_own(tmp_path):
    declaration = load_declaration(write(tmp_path))
    assert declaration.name == tmp_path.name
    assert declaration.folder == tmp_path
    assert declaration.format == Npz(file="mine.npz")
    assert declaration.layout.name == "kinect-20"
    assert declaration.fps == 30.0
    assert declaration.class_names == ("nod", "wave", "shake")
    assert declaration.coarse == (0, 1, 0)
    assert declaration.coarse_names == ("head", "arm")
    assert declaration.mirror is False
    assert declaration.person.column == "subject"
    assert declaration.protocols["a-to-b"] == Persons(("a",), ("b",))
    assert set(declaration.protocols) == {*GENERIC, "a-to-b"}
    assert declaration.protocol == "a-to-b"
    assert load_declaration(tmp_path) == declaration


@pytest.mark.parametrize("name", shipped_datasets())
def test_shipped_declarations_are_right(name):
    declaration = load_declaration(name)
    assert declaration.name == name
    assert declaration.title
    assert declaration.licence
    assert (declaration.folder / "README.md").is_file()
    assert declaration.protocol in declaration.protocols


def test_what_is_shipped():
    sets = {"ma52", "imigue", "smg", "utd_mhad", "msr_action3d", "nw_ucla", "ntu60", "ui_prmd", "mp_holistic_signs"}
    forms = {"ma52/openpose-28", "ma52/halpe-44", "imigue/mmn", "ntu60/pyskl", "msr_action3d/npz"}
    assert set(shipped_datasets()) == {*sets, *forms, "synthetic"}
    assert not list(datasets_folder().rglob("*.py"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Mine"', "title = 3", "`title` to be a text, but got 3"),
        ('title = "Mine"', "", "`title` to be a text, but got nothing"),
        ("fps = 30", "fps = true", "`fps` to be a number, but got True"),
        ("fps = 30", "fps = 0", "`fps` to be a positive number, but got 0.0"),
        ("fps = 30", "fps = -1.5", "`fps` to be a positive number, but got -1.5"),
        ("fps = 30", f"fps = 1{400 * '0'}", "`fps` to be a number, but got 1000"),
        ("fps = 30", f"fps = {5000 * '1'}", "expected a TOML file, but got"),
        ("fps = 30", f"fps = {5000 * '['}", "expected a TOML file, but got"),
        ("fps = 30", "fps = inf", "`fps` to be a positive number, but got inf"),
        ("fps = 30", "fps = nan", "`fps` to be a positive number, but got nan"),
        ("fps = 30", "fpss = 30", "got `fpss`; did you mean `fps`"),
        ('"npz"', '"np"', "`format` to be one of pose_cache, npz.*but got 'np'"),
        ('"kinect-20"', '"kinect"', "`layout`: .*kinect-20.*but got 'kinect'"),
        ('layout = "kinect-20"', "", "`layout` to be the name of a layout, but got nothing"),
        ('"mine.npz"', '"../mine.npz"', "`options`: expected `file` to be the name of a file"),
        ('file = "mine.npz"', "", "`options.file` to be a text, but got nothing"),
        ('file = "mine.npz"', 'file = "m.npz"\nfiel = 1', "`options.fiel`; did you mean `file`"),
        ('file = "mine.npz"', 'file = "m.npz"\njoints = "x"', "`options.joints` to be a list, each entry a text"),
        ('file = "mine.npz"', 'file = "m.npz"\nwidth = 3', "`options`: expected `width` and `height` together"),
        ('column = "subject"', "", "title"),
        ('column = "subject"', "pattern = '('", "`person`: .*regular expression"),
        ('column = "subject"', "pattern = 'a(.)'", r"`person`: .*group \(\?P<person>"),
        ('column = "subject"', 'column = "s"\npattern = "x"', "`person`: expected exactly one"),
        ('"persons"', '"person"', "`protocols.a-to-b.kind` to be one of listed, persons.*but got 'person'"),
        ("[person]", "[label]\npattern = '(?P<label>a)'\nfirst = 1\nvalues = ['a']\n[person]", "`label`: .*got both"),
        ("[person]", "[label]\npattern = '(?P<label>a)'\nvalues = ['a', 'a']\n[person]", "`label`: .*got one twice"),
        ("[person]", "[label]\npattern = '(?P<label>a)'\nvalues = 'a'\n[person]", "`label.values` to be a list"),
        ('"npz"', '"msr_text"', "expected keys among joints, suffix, but got `options.file`"),
        ('kind = "persons"', "", "`protocols.a-to-b` to be a table with a `kind`"),
        ('test = ["b"]', "test = [1]", r"`protocols.a-to-b.test` to be a list, each entry a text, but got \[1\]"),
        ('test = ["b"]', 'test = ["a"]', "`protocols.a-to-b`: .*but got a in both"),
        ('test = ["b"]', 'test = ["b"]\nfolds = 3', "`protocols.a-to-b.folds`"),
        ('protocol = "a-to-b"', 'protocol = "b"', "`protocol` to be one of person-folds.*a-to-b, but got 'b'"),
        ('coarse = "group"', 'coarse = "part"', "columns id,name,part, but got 'id,name,group'"),
        ('"classes.csv"', '"../classes.csv"', "`classes` to be the name of a csv file beside it"),
        ('"classes.csv"', '"none.csv"', "`classes` to be the name of a csv file"),
        ('title = "Mine"', "title = ", "TOML"),
    ],
)
def test_a_wrong_declaration_is_refused_with_file_key_expected_and_got(tmp_path, old, new, message):
    assert old in TOML
    path = write(tmp_path, TOML.replace(old, new, 1))
    if message == "title":  # an empty table says nothing and is no mistake
        assert load_declaration(path).person is None
        return
    with pytest.raises(PiumrError, match=message) as error:
        load_declaration(path)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_forms_of_a_set_agree_on_all_that_does_not_depend_on_the_form():
    for form in (name for name in shipped_datasets() if "/" in name):
        one, other = load_declaration(form.split("/")[0]), load_declaration(form)
        assert other.folder == one.folder
        assert other.class_names == one.class_names
        assert (other.coarse, other.coarse_names) == (one.coarse, one.coarse_names)
        assert other.mirror == one.mirror
        assert other.protocol == one.protocol
        assert other.layout != one.layout or other.format != one.format


def test_a_form_of_ones_own_set(tmp_path):
    write(tmp_path)
    (tmp_path / "other.toml").write_text(TOML.replace("mine.npz", "other.npz"))
    declaration = load_declaration(tmp_path / "other.toml")
    assert declaration.name == f"{tmp_path.name}/other"
    assert declaration.format == Npz(file="other.npz")
    assert declaration.class_names == load_declaration(tmp_path).class_names


def test_published_class_names():
    """Counts and a few names by number, as the authors' tables have them."""
    expected = {
        "imigue": (32, {0: "turtle neck", 15: "scratching back", 31: "illustrative body language"}),
        "msr_action3d": (20, {0: "high arm wave", 19: "pickup and throw"}),
        "nw_ucla": (10, {0: "pick up with one hand", 9: "carry"}),
        "ntu60": (60, {0: "drink water", 34: "nod head/bow", 59: "walking apart from each other"}),
        "ui_prmd": (10, {0: "deep squat", 9: "standing shoulder scaption"}),
    }
    for name, (count, some) in expected.items():
        names = load_declaration(name).class_names
        assert len(names) == count
        assert {i: names[i] for i in some} == some
    assert load_declaration("smg").class_names is None


def test_no_person_is_on_both_sides_of_a_declared_list_of_persons():
    for name in shipped_datasets():
        for protocol in load_declaration(name).protocols.values():
            if isinstance(protocol, Persons):
                assert not set(protocol.train) & set(protocol.test)


def test_rules_read_names():
    assert PersonRule(r"_s(?P<person>\d+)").from_name("a1_s02") == "02"
    assert LabelRule(r"^a(?P<label>\d+)", first=1).from_name("a003_s02") == 2
    with pytest.raises(PiumrError, match=r"Expected a number.*'x'"):
        LabelRule(r"^a(?P<label>.)").from_name("ax")
    with pytest.raises(PiumrError, match="at most 18 digits"):
        LabelRule(r"^a(?P<label>\d+)").from_name("a" + "1" * 5000)


def test_labels_may_be_any_texts_in_any_order():
    rule = LabelRule(r"^(?P<label>[a-z]+)_", values=("wave", "nod"))
    assert [rule.from_name(name) for name in ("nod_1", "wave_2")] == [1, 0]
    with pytest.raises(PiumrError, match="'shrug_1' to be one of wave, nod, but got 'shrug'"):
        rule.from_name("shrug_1")


def test_a_group_that_took_no_part_is_no_match():
    for rule in (PersonRule(r"a(?P<person>\d)?"), LabelRule(r"a(?P<label>\d)?")):
        assert str(rule.from_name("a1")) == "1"
        with pytest.raises(PiumrError, match="in clip name 'ab' to match"):
            rule.from_name("ab")


@pytest.mark.parametrize(
    "classes",
    [
        "",
        "id,name,group\n",
        "id,name\n0,a\n",
        "id,name,group\n1,a,g\n",
        "id,name,group\n0,a,\n",
        "id,name,group\n0,a,g\n1,a,g\n",
    ],
)
def test_wrong_classes_are_refused(tmp_path, classes):
    with pytest.raises(PiumrError, match=r"classes\.csv: expected"):
        load_declaration(write(tmp_path, classes=classes))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("id,name,group\n0,face, deep breath,head\n", "line 2: expected 3 fields, but got more; .*quotes"),
        ("id,name,group,group\n0,a,g,h\n", "every column once, but got 'group' several times"),
    ],
)
def test_fields_of_classes_never_shift(tmp_path, classes, message):
    with pytest.raises(PiumrError, match=rf"classes\.csv.*{message}"):
        load_declaration(write(tmp_path, classes=classes))


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    """Excel's "CSV UTF-8" begins with one, and so do texts of some editors."""
    plain = load_declaration(write(tmp_path))
    assert load_declaration(write(tmp_path, "\ufeff" + TOML, "\ufeff" + CLASSES)) == plain


def test_an_unknown_name_is_told_the_shipped_ones():
    with pytest.raises(PiumrError, match=r"ma52.*utd_mhad.*but got 'ma-52'"):
        find_declaration("ma-52")


def test_a_folder_here_does_not_hide_a_shipped_set(tmp_path, monkeypatch):
    (tmp_path / "ma52").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_declaration("ma52") == datasets_folder() / "ma52" / "dataset.toml"


def test_an_installed_package_finds_its_own_copy(tmp_path):
    """Laid out as in the wheel: the declarations inside the package, another package called datasets beside it."""
    source = Path(piumr.__file__).parent
    for package in (source, source.parent / "pose_extract"):
        shutil.copytree(package, tmp_path / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(source.parent / "datasets", tmp_path / "piumr" / "datasets", dirs_exist_ok=True)
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").touch()
    code = "from piumr.data.declaration import load_declaration; print(load_declaration('ma52').folder)"
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == tmp_path / "piumr" / "datasets" / "ma52"


def test_own_clips_have_every_generic_protocol():
    assert dict(own_clips().protocols) == dict(GENERIC)
