import pytest

from piumr.data.declaration import load_declaration
from piumr.data.formats import read_set
from piumr.data.formats.synthetic import Synthetic
from piumr.errors import PiumrError

pytest.importorskip("piumr.synthetic.generator", reason="the generator of synthetic persons is not there")


def test_a_declaration_makes_its_persons(tmp_path):
    (tmp_path / "dataset.toml").write_text(
        'title = ""\ncitation = ""\nlicence = ""\nsource = ""\nformat = "synthetic"\n'
        "[options]\npersons = 3\ntakes = 1\nseed = 4\n"
    )
    clips = read_set(load_declaration(tmp_path))
    assert len(set(clips.persons)) == 3
    assert len(clips) == 3 * len(clips.class_names)


@pytest.mark.parametrize(("persons", "takes"), [(100_001, 1), (1, 100_001), (1000, 1000)])
def test_sets_that_no_memory_holds_are_refused(persons, takes):
    assert Synthetic(1000, 100)
    with pytest.raises(PiumrError, match=f"at most 100000 in all, but got {persons} x {takes}"):
        Synthetic(persons, takes)
