import pytest

from piumr.data.declaration import load_declaration
from piumr.data.formats import read_set

pytest.importorskip("piumr.synthetic.generator", reason="the generator of synthetic persons is not there")


def test_a_declaration_makes_its_persons(tmp_path):
    (tmp_path / "dataset.toml").write_text(
        'title = ""\ncitation = ""\nlicence = ""\nsource = ""\nformat = "synthetic"\n'
        "[options]\npersons = 3\ntakes = 1\nseed = 4\n"
    )
    clips = read_set(load_declaration(tmp_path))
    assert len(set(clips.persons)) == 3
    assert len(clips) == 3 * len(clips.class_names)
