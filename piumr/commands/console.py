"""What all commands share: options from a typed signature, one clear line for bad input, exit codes."""

from __future__ import annotations

import errno
import importlib
import inspect
import logging
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_type_hints

from docstring_parser import parse as parse_docstring
from jsonargparse import Namespace
from rich.console import Console

from piumr.commands.ready_configs import find_config
from piumr.errors import PiumrError
from pose_extract.errors import PoseError
from pose_extract.parser import CommandParser, printable

OK, SOME_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

EXTRAS = {
    "train": "torch torch_geometric lightning torchmetrics sklearn scipy onnx onnxscript matplotlib".split(),
    "extract": "cv2 mediapipe pebble".split(),
    "demo": ["aiohttp"],
}
"""Which extra brings which modules."""

console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def run_command(program: str, module: str, function: str, arguments: list[str] | None = None) -> None:
    """Parse the command line into a function's typed signature, run it and exit with its code.

    Whatever the user can cause ends in one line on standard error and exit code 2 (1 where the machine is at fault,
    such as a full disk), never in a traceback.

    Args:
        program: name of the command.
        module: where the function is; imported here, so that a missing extra is reported like other bad input.
        function: its name; it has type hints and a docstring and returns an exit code, None for 0.
        arguments: the command line without the program's name; None takes the process's.
    """
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    try:
        command: Callable[..., int | None] = getattr(importlib.import_module(module), function)
        code = command(**parse(program, command, arguments)) or OK
    except KeyboardInterrupt as stop:
        fail(str(stop) or "interrupted")
        code = INTERRUPTED
    except BrokenPipeError:  # the reader of our lines has left, as `| head` does
        sys.stderr.close()
        code = OK
    except Exception as error:
        code = _explain(error)
    sys.exit(code)


def fail(message: str) -> None:
    """Print an error line."""
    console.print("error:", printable(message), style="red")


class OutOfMemoryError(MemoryError):
    """Memory ran out; the message says what to lower."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: a GPU's, torch's on the CPU, or NumPy's and Python's."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
    )


def check_out(out: Path, inputs: Iterable[Path], name: str = "out") -> None:
    """Refuse a file to write that cannot become one, or that would take the place of an input.

    Args:
        out: the file.
        inputs: what is read.
        name: of the argument that names the file.

    Raises:
        PiumrError: if ``out`` is a folder or a device, its folder is missing or read-only, or it is one of ``inputs``.
    """
    if out.exists() and not out.is_file():
        raise PiumrError(f"Expected `{name}` to be a file to write, but {str(out)!r} is a folder or a device.")
    if not out.resolve().parent.is_dir():
        raise PiumrError(
            f"Expected `{name}` to be in a folder that exists, but {str(out.parent)!r} does not: make it first."
        )
    if out.resolve() in {path.resolve() for path in inputs}:
        raise PiumrError(
            f"Expected `{name}` to be a new file, but {str(out)!r} is one that is read: choose another name."
        )
    check_writable(out.resolve().parent, name)


def check_writable(folder: Path, name: str) -> None:
    """Refuse a folder in which no file can be made, better now than after hours of work; make it where it is missing.

    Raises:
        PiumrError: if so; the message names the argument ``name``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PiumrError(
            f"Expected `{name}` to be in a folder that can be written to, but {str(folder)!r} cannot: "
            f"{error.strerror or error}."
        ) from None


def parse(program: str, command: Callable[..., Any], arguments: list[str] | None) -> dict[str, Any]:
    """The command line as arguments of ``command``: a bool is a flag, a list takes any number of values.

    A list that is a keyword-only parameter becomes an option, any other list stands without a name. ``--config`` takes
    the path of a file or the name of a ready one; ``--time-limit`` is ``--time_limit``.
    """
    arguments = [_spelled(argument) for argument in (sys.argv[1:] if arguments is None else arguments)]
    for place, argument in enumerate(arguments):
        value = argument.removeprefix("--config=")
        if value != argument:
            arguments[place] = f"--config={find_config(value)}"
        elif place and arguments[place - 1] == "--config":  # all of it: a folder's name may hold a "="
            arguments[place] = find_config(argument)
    hints = get_type_hints(command)
    parameters = inspect.signature(command).parameters
    documentation = parse_docstring(inspect.getdoc(command) or "")
    help_of = {entry.arg_name: entry.description for entry in documentation.params}
    apart = {name for name in parameters if hints[name] in (bool, list[Path])}
    parser = CommandParser(prog=program, description=documentation.description)
    parser.add_argument("--config", action="config", help="take options from a YAML file; --print_config makes one")
    parser.add_function_arguments(command, as_group=False, as_positional=True, skip={*apart})
    for name in sorted(apart):
        if hints[name] is bool:
            parser.add_argument(f"--{name}", action="store_true", help=help_of[name])
        elif parameters[name].kind is inspect.Parameter.KEYWORD_ONLY:
            parser.add_argument(f"--{name}", nargs="+", type=str, default=[], help=help_of[name])
        else:
            optional = parameters[name].default is not inspect.Parameter.empty
            number: dict[str, Any] = {"nargs": "*", "default": []} if optional else {"nargs": "+"}
            parser.add_argument(name, type=str, help=help_of[name], **number)
    try:
        parsed = parser.parse_args(arguments)
    except UnicodeDecodeError:
        raise PiumrError("Expected `config` to be a YAML file, but it is no UTF-8 text.") from None
    _refuse_nulls(parsed, parser.get_defaults())
    values = parser.instantiate(parsed)
    return {
        name: [Path(value) for value in values[name]] if hints[name] == list[Path] else values[name]
        for name in parameters
    }


def _refuse_nulls(parsed: Namespace, defaults: Namespace) -> None:
    """Refuse null for what has a default, and a section that is no table: one left empty in a file is null as well."""
    for name, default in defaults.items():
        section = name.rpartition(".")[0]
        if section and not isinstance(parsed.get(section), Namespace):
            raise PiumrError(f"Expected `{section}` to be a table of options, but got {parsed.get(section)!r}.")
        if default is not None and parsed.get(name) is None:
            raise PiumrError(f"Expected `{name}` to have a value (by default {default!r}), but got null.")


def _explain(error: Exception) -> int:
    """Print one line for an error that a user can cause and return the exit code; raise any other."""
    if isinstance(error, ImportError):
        missing = (error.name or "").split(".")[0]
        extra = next((extra for extra, modules in EXTRAS.items() if missing in modules), None)
        if extra is None:
            raise error
        fail(f"this needs the package {missing}, which is not installed: pip install 'piumr[{extra}]'")
        return USAGE
    if isinstance(error, PiumrError | PoseError):
        fail(str(error))
        return USAGE
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        fail("the disk is full: free some space and run the same command again" if full else str(error))
        return SOME_FAILED
    if out_of_memory(error):
        fail(
            str(error)
            if isinstance(error, OutOfMemoryError)
            else "out of memory: close other programs, or give less at once"
        )
        return SOME_FAILED
    raise error


def _spelled(argument: str) -> str:
    """An option with the underscores that options are named with."""
    return re.sub(r"^--[\w.-]+", lambda option: "--" + option[0][2:].replace("-", "_"), argument)
