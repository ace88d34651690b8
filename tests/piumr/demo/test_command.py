"""``piumr-demo`` on the command line: bad input is one line, and the server ends when it is told to."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from piumr.commands.console import run_command

REPOSITORY = Path(__file__).resolve().parents[3]


def run(capfd, *arguments):
    """Exit code and standard error of the command, in this process."""
    with pytest.raises(SystemExit) as left:
        run_command("piumr-demo", "piumr.commands.demo", "demo", [os.fspath(argument) for argument in arguments])
    return left.value.code, capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--host", ""], "`host` to be a name or an address"),
        (["--port", "65536"], "`port` to lie in 0..65535"),
        (["--port", "-1"], "`port` to lie in 0..65535"),
        (["--host", "no such host"], "`host` to be a name or an address of this machine"),
        (["--host", "192.0.2.1"], "`host` to be a name or an address of this machine"),  # RFC 5737: nobody's
    ],
)
def test_bad_addresses_are_one_line(model, capfd, arguments, reason):
    code, printed = run(capfd, model, *arguments)
    assert code == 2
    assert reason in printed.splitlines()[-1]
    assert "Traceback" not in printed


def test_a_port_that_is_taken_is_one_line(model, capfd):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, printed = run(capfd, model, "--port", str(taken.getsockname()[1]))
    assert code == 2
    assert printed.count("\n") == 1
    assert "something listens at 127.0.0.1" in printed


def test_two_models_are_one_too_many(model, capfd):
    code, printed = run(capfd, model, model)
    assert code == 2
    assert printed == "error: Expected one `model`, but got 2.\n"


def test_a_model_that_is_none_is_one_line(tmp_path, capfd):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    code, printed = run(capfd, tmp_path / "model.onnx")
    assert code == 2
    assert printed.count("\n") == 1
    assert "to be an ONNX model" in printed


@pytest.mark.parametrize(("module", "extra"), [("aiohttp", "demo"), ("mediapipe", "extract")])
def test_a_missing_extra_is_one_line(model, module, extra):
    code = f"import sys; sys.modules[{module!r}] = None\nfrom piumr.commands import demo; demo()"
    done = subprocess.run(
        [sys.executable, "-c", code, model],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert module in done.stderr
    assert f"pip install 'piumr[{extra}]'" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_warns_of_other_addresses_and_ends_when_told(model, number):
    code = "from piumr.commands import demo; demo()"
    arguments = [sys.executable, "-c", code, model, "--host", "0.0.0.0", "--port", "0", "--no_browser"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment) as server:
        assert "warning: listening at 0.0.0.0: whoever can reach this machine" in server.stderr.readline()
        assert "The page is at http://" in server.stderr.readline()
        server.send_signal(number)
        assert server.wait(20) == 0
        assert server.stderr.read() == ""
