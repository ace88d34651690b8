"""The page: one file with style, script and data inside; it loads nothing, which its policy forbids as well."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from piumr.errors import PiumrError
from piumr.evaluation.result import Evaluation
from piumr.report.figures import figures
from piumr.report.skeletons import skeletons
from pose_extract.atomic import atomic_write

GENERATOR = 'content="piumr-evaluate"'
SCRIPTS = ("page.js", "charts.js", "matrix.js", "player.js", "report.js")


def write_report(path: Path, evaluation: Evaluation) -> None:
    """Write an evaluation as a page, whole or not at all.

    Args:
        path: the page; an earlier report there is replaced.
        evaluation: what to show.

    Raises:
        PiumrError: if another page is in the way.
        OSError: if the page cannot be written.
    """
    if is_foreign(path):
        raise PiumrError(f"Expected {path} to be a report, but it is a page of somebody else's: move it away.")
    data = {**figures(evaluation), **skeletons(evaluation)}
    with atomic_write(path.resolve()) as file:
        file.write(page(data).encode("utf-8", "surrogateescape"))


def is_foreign(path: Path) -> bool:
    """Whether there is a page that is no report."""
    try:
        with path.open("rb") as file:
            return GENERATOR.encode() not in file.read(4096)
    except FileNotFoundError:
        return False


def page(data: dict[str, Any]) -> str:
    """The page with its data; style and script are allowed by their digests, and nothing else is."""
    files = resources.files("piumr.report")
    style, *scripts = (files.joinpath(name).read_text(encoding="utf-8") for name in ("report.css", *SCRIPTS))
    script = '"use strict";\n' + "\n".join(scripts)
    # "<" is all that could end the element that holds the data
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    fill = {"STYLE_SHA256": _digest(style), "SCRIPT_SHA256": _digest(script), "STYLE": style, "SCRIPT": script}
    template = files.joinpath("report.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda place: {**fill, "DATA": text}[place[1]], template)


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
