import os
import subprocess
import sys

import pytest

from pose_extract.quiet import silenced_stderr


def test_only_the_block_is_silent(capfd):
    os.write(2, b"before ")
    with silenced_stderr():
        os.write(2, b"inside ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_an_exception_gives_the_voice_back(capfd):
    with pytest.raises(KeyError), silenced_stderr():
        raise KeyError
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_no_standard_error_at_all():
    code = (
        "import os; os.close(2)\nfrom pose_extract.quiet import silenced_stderr\nwith silenced_stderr(): print('fine')"
    )
    root = os.path.dirname(sys.modules["pose_extract"].__path__[0])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "fine\n")
