"""``piumr-infer``: predictions for cached poses and for videos, without torch."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from piumr.commands.console import OK, SOME_FAILED, check_out, console, fail
from piumr.errors import PiumrError
from piumr.inference import Recognizer
from pose_extract import PoseError, PoseSequence, read_poses
from pose_extract.atomic import atomic_write
from pose_extract.discovery import SUFFIXES
from pose_extract.preview import is_preview


def infer(model: Path, sources: list[Path], out: Path | None = None, top: int = 5, threads: int | None = None) -> int:
    """Recognise the action in cached poses (.npz), videos, or folders of them; one JSON line each.

    Videos need the extra `extract`; cached poses only the base installation.

    Args:
        model: a model.onnx, written by piumr-train-gcn or piumr-export.
        sources: files or folders.
        out: file for the JSON lines, written when all is done; standard output if not given.
        top: how many classes a line names, best first.
        threads: threads of ONNX Runtime, at most as many as there are processors.
    """
    if top < 1:
        raise PiumrError(f"Expected `top` to be at least 1, but got {top}.")
    processors = os.cpu_count() or 1
    if threads is not None and not 1 <= threads <= processors:
        raise PiumrError(f"Expected `threads` to lie in 1..{processors}, the processors there are, but got {threads}.")
    files = [file for source in sources for file in _files(source)]
    if out is not None:
        check_out(out, [model, *files])
    recognizer = Recognizer(model, threads)
    failed = 0
    with _lines(out) as lines:
        for file in files:
            try:
                poses = _poses(file, recognizer)
                prediction = recognizer.predict(poses)[0]
            except (PiumrError, PoseError) as error:
                fail(_printable(str(error) if str(file) in str(error) else f"{file}: {error}"))
                failed += 1
                continue
            if prediction.label is None:
                console.print(_printable(f"{file}: no person was seen, so there is no prediction."), markup=False)
            record = {"source": str(file), "frames": len(poses), **prediction.to_dict(top)}
            line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
            lines.write(line.encode("utf-8", "replace"))  # a file name may hold bytes that are no text
            lines.flush()
    if failed:
        console.print(f"{failed} of {len(files)} sources failed.")
    return SOME_FAILED if failed else OK


def _files(source: Path) -> list[Path]:
    """The cached poses and videos that a source stands for."""
    if not source.exists():
        raise PiumrError(f"Expected `sources` to be files or folders, but there is no {str(source)!r}.")
    if source.is_file():
        return [source]
    suffixes = {".npz", *SUFFIXES}
    found = sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in suffixes and path.is_file() and not is_preview(path)
    )
    if not found:
        raise PiumrError(f"Expected cached poses (.npz) or videos in {str(source)!r}, but there are none.")
    return found


def _poses(file: Path, recognizer: Recognizer) -> PoseSequence:
    if file.suffix.lower() == ".npz":
        return read_poses(file)
    from pose_extract import Options, extract_video

    with_hands = any("hand_" in joint for joint in recognizer.card.layout.joints)
    return extract_video(file, Options("holistic" if with_hands else "body"))


@contextlib.contextmanager
def _lines(out: Path | None) -> Iterator[IO[bytes]]:
    """Where the JSON lines go, as UTF-8 whatever the terminal's encoding is."""
    if out is None:
        yield sys.stdout.buffer
        return
    with atomic_write(out.resolve()) as file:  # a link stays a link
        yield file


def _printable(text: str) -> str:
    """File names may hold line breaks, control codes and bytes that are no text; a terminal should not."""
    return "".join(character if character.isprintable() else "?" for character in text)
