"""``index.html``: all clips of an output folder on one page, the worst first. The standard library only.

The page is one file: style, script and data are inside, and it loads nothing from a network, which its content security
policy forbids as well. Strips of pictures are inside too up to :data:`EMBEDDED` bytes; a larger page links to the
files beside the caches, and the browser loads those that come into view. Rows are built as the reader scrolls, so
that tens of thousands of clips stay quick.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from pose_extract import index
from pose_extract.atomic import atomic_write
from pose_extract.errors import PoseError
from pose_extract.preview import is_current, preview_file, strip_file

NAME = "index.html"

EMBEDDED = 16 * 1024**2
"""Bytes of strips that are put into the page; about 300 clips."""


def write_contact_sheet(out: Path) -> Path:
    """Write ``out/index.html`` from ``out/index.jsonl`` and the previews that are current.

    Returns:
        the page's path.

    Raises:
        PoseError: if there is no index, or it is not one, or another page is in the way.
        OSError: if the page cannot be written.
    """
    if _is_foreign(out / NAME):
        raise PoseError(f"{out / NAME} is a page of somebody else's: move it away to get a contact sheet.")
    rows = _read_index(out / index.NAME)
    strips = {row["name"]: strip_file(cache) for row in rows if (cache := _previewed(out, row))}
    embed = sum(strip.stat().st_size for strip in strips.values()) <= EMBEDDED
    for row in rows:
        strip = strips.get(row["name"])
        row["strip"] = None if strip is None else _data_uri(strip) if embed else _link(strip, out)
        row["preview"] = None if strip is None else _link(preview_file(out / f"{row['name']}.npz"), out)
    with atomic_write(out / NAME) as file:
        file.write(_page(rows).encode())
    return out / NAME


def _is_foreign(page: Path) -> bool:
    try:
        with page.open("rb") as file:
            return b'content="piumr-extract"' not in file.read(4096)
    except FileNotFoundError:
        return False


def _read_index(path: Path) -> list[dict[str, Any]]:
    try:
        rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        raise PoseError(f"{path} does not exist: the contact sheet is made from it after an extraction.") from None
    except (ValueError, RecursionError):
        rows = [None]
    if not all(isinstance(row, dict) and isinstance(row.get("name"), str) for row in rows):
        raise PoseError(f"{path} is damaged: expected a JSON object with a `name` on every line; extract again.")
    return rows


def _previewed(out: Path, row: dict[str, Any]) -> Path | None:
    """The cache of a row that has a preview, inside ``out``."""
    name = PurePosixPath(row["name"])
    if row.get("status") == "failed" or name.is_absolute() or ".." in name.parts:
        return None
    cache = out / f"{name}.npz"
    return cache if is_current(cache) else None


def _data_uri(strip: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(strip.read_bytes()).decode()


def _link(path: Path, out: Path) -> str:
    return quote(os.fsencode(path.relative_to(out)))  # bytes: a name need not be text


def _page(rows: list[dict[str, Any]]) -> str:
    page = resources.files("pose_extract").joinpath("contact_sheet.html").read_text(encoding="utf-8")
    script = re.search("<script>(.*?)</script>", page, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    # "<" is all that could end the element that holds the data
    data = json.dumps(rows, separators=(",", ":")).replace("<", "\\u003c")
    return page.replace("SCRIPT_SHA256", digest).replace("CLIPS_JSON", data)
