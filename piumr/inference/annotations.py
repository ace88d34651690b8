"""Segments as files that annotators and programs read: CSV, JSON lines, ELAN ``.eaf`` and WebVTT.

EAF after "ELAN Annotation Format (EAF) schema version 3.0" (Max Planck Institute for Psycholinguistics): the tier
``action`` holds the segments, its child ``confidence`` a value for each. WebVTT after the W3C's recommendation.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from piumr.errors import PiumrError
from piumr.inference.segments import Segment
from pose_extract.atomic import atomic_write

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_CONSTRAINTS = {
    "Time_Subdivision": "Time subdivision of parent annotation's time interval, no time gaps allowed within this "
    "interval",
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation. Annotations refering to the same parent are "
    "ordered",
    "Symbolic_Association": "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps are allowed",
}
"""The four stereotypes, which every file of ELAN lists with these texts."""

_MIME = {".mp4": "video/mp4", ".mov": "video/quicktime", ".mpg": "video/mpeg", ".mpeg": "video/mpeg"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_segments(path: Path, segments: Sequence[Segment], media: Path | None = None) -> None:
    """Write segments in the format that the suffix names; the file is whole or untouched at any moment.

    Args:
        path: ``.csv``, ``.jsonl``, ``.eaf`` or ``.vtt``.
        segments: in order, not overlapping.
        media: the video that they are of, for ELAN to open; ``None`` where there is none.

    Raises:
        PiumrError: if the suffix is another one.
        OSError: if the file cannot be written.
    """
    text = check_format(path)(segments, media, path)
    with atomic_write(path.resolve()) as file:  # a link stays a link
        file.write(text.encode("utf-8", "replace"))


def check_format(path: Path) -> Callable[[Sequence[Segment], Path | None, Path], str]:
    """What writes the format of a path.

    Raises:
        PiumrError: if there is no such format.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        *others, last = FORMATS
        raise PiumrError(
            f"Expected `segments` to end in {', '.join(others)} or {last}, but got {str(path)!r}."
        ) from None


def _csv(segments: Sequence[Segment], media: Path | None, path: Path) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["start", "end", "action", "confidence"])
    rows.writerows([f"{s.start:.3f}", f"{s.end:.3f}", s.action, f"{s.confidence:.4f}"] for s in segments)
    return text.getvalue()


def _json_lines(segments: Sequence[Segment], media: Path | None, path: Path) -> str:
    return "".join(
        json.dumps(
            {
                "start": round(s.start, 3),
                "end": round(s.end, 3),
                "action": s.action,
                "confidence": round(s.confidence, 4),
            },
            ensure_ascii=False,
        )
        + "\n"
        for s in segments
    )


def _web_vtt(segments: Sequence[Segment], media: Path | None, path: Path) -> str:
    cues = ["WEBVTT\n"]
    for s in segments:
        # a cue's text has its own markup and ends at an empty line
        name = " ".join(s.action.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"{_clock(s.start)} --> {_clock(s.end)}\n{name} ({s.confidence:.0%})\n")
    return "\n".join(cues)


def _eaf(segments: Sequence[Segment], media: Path | None, path: Path) -> str:
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "piumr-infer",
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": _XSI,
            "xsi:noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if media is not None:
        ET.SubElement(header, "MEDIA_DESCRIPTOR", _media(media, path))
    ET.SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId").text = str(2 * len(segments))
    slots = ET.SubElement(root, "TIME_ORDER")
    actions = ET.SubElement(root, "TIER", LINGUISTIC_TYPE_REF="action", TIER_ID="action")
    values = ET.SubElement(root, "TIER", LINGUISTIC_TYPE_REF="confidence", PARENT_REF="action", TIER_ID="confidence")
    for number, s in enumerate(segments):
        start, end, own, of = f"ts{2 * number + 1}", f"ts{2 * number + 2}", f"a{2 * number + 1}", f"a{2 * number + 2}"
        low = max(round(s.start * 1000), 0)
        for slot, time in ((start, low), (end, max(round(s.end * 1000), low + 1))):
            ET.SubElement(slots, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(time))
        aligned = ET.SubElement(
            ET.SubElement(actions, "ANNOTATION"),
            "ALIGNABLE_ANNOTATION",
            ANNOTATION_ID=own,
            TIME_SLOT_REF1=start,
            TIME_SLOT_REF2=end,
        )
        ET.SubElement(aligned, "ANNOTATION_VALUE").text = _NOT_XML.sub("?", s.action)
        refers = ET.SubElement(
            ET.SubElement(values, "ANNOTATION"), "REF_ANNOTATION", ANNOTATION_ID=of, ANNOTATION_REF=own
        )
        ET.SubElement(refers, "ANNOTATION_VALUE").text = f"{s.confidence:.2f}"
    ET.SubElement(
        root, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID="action", TIME_ALIGNABLE="true"
    )
    ET.SubElement(
        root,
        "LINGUISTIC_TYPE",
        CONSTRAINTS="Symbolic_Association",
        GRAPHIC_REFERENCES="false",
        LINGUISTIC_TYPE_ID="confidence",
        TIME_ALIGNABLE="false",
    )
    for stereotype, description in _CONSTRAINTS.items():
        ET.SubElement(root, "CONSTRAINT", DESCRIPTION=description, STEREOTYPE=stereotype)
    ET.indent(root, "    ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _media(media: Path, path: Path) -> dict[str, str]:
    """Where ELAN finds the video, also when the folder that holds both is moved."""
    near = Path(os.path.relpath(media.resolve(), path.resolve().parent)).as_posix()
    return {
        "MEDIA_URL": media.resolve().as_uri(),
        "MIME_TYPE": _MIME.get(media.suffix.lower(), "video/*"),
        "RELATIVE_MEDIA_URL": _NOT_XML.sub("?", near if near.startswith("../") else f"./{near}"),
    }


def _clock(seconds: float) -> str:
    milliseconds = max(round(seconds * 1000), 0)
    return f"{milliseconds // 3_600_000:02}:{milliseconds // 60_000 % 60:02}:{milliseconds // 1000 % 60:02}." + (
        f"{milliseconds % 1000:03}"
    )


FORMATS: dict[str, Callable[[Sequence[Segment], Path | None, Path], str]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".eaf": _eaf,
    ".vtt": _web_vtt,
}
"""Suffixes and what writes them."""
