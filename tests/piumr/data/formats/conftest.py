"""Declarations that the tests of formats write."""

import pytest

from piumr.data.declaration import load_declaration

TOML = """
title = "Mine"
citation = ""
licence = ""
source = "nowhere"
format = "{format}"
layout = "{layout}"
{top}
[options]
{options}
{rest}
"""


@pytest.fixture
def declare(tmp_path):
    """Write and load a ``dataset.toml`` in a folder of its own; files of the set belong into ``tmp_path / "data"``."""

    def write(format, layout, options="", rest="", classes=(), top=""):
        folder = tmp_path / "declared"
        folder.mkdir(exist_ok=True)
        if classes:
            rows = [f"{i},{name}" for i, name in enumerate(classes)]
            (folder / "classes.csv").write_text("\n".join(["id,name", *rows]) + "\n")
            top += '\nclasses = "classes.csv"'
        text = TOML.format(format=format, layout=layout, options=options, rest=rest, top=top)
        (folder / "dataset.toml").write_text(text)
        return load_declaration(folder)

    return write


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder
