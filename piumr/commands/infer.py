"""``piumr-infer``: predictions for cached poses and for videos, without torch."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from piumr.commands.console import OK, SOME_FAILED, console, fail
from piumr.errors import PiumrError
from piumr.inference import Recognizer
from pose_extract import PoseError, PoseSequence, read_poses
from pose_extract.discovery import SUFFIXES


def infer(model: Path, sources: list[Path], out: Path | None = None, top: int = 5, threads: int | None = None) -> int:
    """Recognise the action in cached poses (.npz), videos, or folders of them; one JSON line each.

    Videos need the extra `extract`; cached poses only the base installation.

    Args:
        model: a model.onnx, written by piumr-train-gcn or piumr-export.
        sources: files or folders.
        out: file for the JSON lines; standard output if not given.
        top: how many classes a line names, best first.
        threads: threads of ONNX Runtime.
    """
    if top < 1:
        raise PiumrError(f"Expected `top` to be at least 1, but got {top}.")
    recognizer = Recognizer(model, threads)
    files = [file for source in sources for file in _files(source)]
    failed = 0
    with _lines(out) as lines:
        for file in files:
            try:
                poses = _poses(file, recognizer)
                prediction = recognizer.predict(poses)[0]
            except (PiumrError, PoseError) as error:
                fail(str(error) if str(file) in str(error) else f"{file}: {error}")
                failed += 1
                continue
            if prediction.label is None:
                console.print(f"{file}: no person was seen, so there is no prediction.")
            record = {"source": str(file), "frames": len(poses), **prediction.to_dict(top)}
            print(json.dumps(record, ensure_ascii=False), file=lines, flush=True)
    if failed:
        console.print(f"{failed} of {len(files)} sources failed.")
    return SOME_FAILED if failed else OK


def _files(source: Path) -> list[Path]:
    """The cached poses and videos that a source stands for."""
    if not source.exists():
        raise PiumrError(f"Expected `sources` to be files or folders, but there is no {str(source)!r}.")
    if source.is_file():
        return [source]
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in {".npz", *SUFFIXES} and path.is_file())
    if not found:
        raise PiumrError(f"Expected cached poses (.npz) or videos in {str(source)!r}, but there are none.")
    return found


def _poses(file: Path, recognizer: Recognizer) -> PoseSequence:
    if file.suffix == ".npz":
        return read_poses(file)
    from pose_extract import extract_video

    with_hands = any("hand_" in joint for joint in recognizer.card.layout.joints)
    return extract_video(file, landmarks="holistic" if with_hands else "body")


@contextlib.contextmanager
def _lines(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    with out.open("w", encoding="utf-8") as file:
        yield file
