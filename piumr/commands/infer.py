"""``piumr-infer``: predictions for cached poses, videos and cameras, without torch."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from piumr.commands.console import OK, SOME_FAILED, check_out, check_writable, console, fail
from piumr.errors import PiumrError
from piumr.inference import Recognizer
from piumr.inference.annotations import check_format, write_segments
from piumr.inference.recordings import Recording, ignore_deprecation, options_for
from piumr.inference.segments import THRESHOLD, Segment, find_segments
from piumr.inference.windows import Timeline, Windows, slide_chunks, window_seconds
from pose_extract import PoseError, PoseSequence, read_poses
from pose_extract.discovery import SUFFIXES
from pose_extract.parser import printable
from pose_extract.preview import is_preview

NO_SOURCES: list[Path] = []

_ERRORS = (PiumrError, PoseError, OSError)
"""What one source can cause; the others go on."""


def infer(
    model: Path,
    sources: list[Path] = NO_SOURCES,
    out: Path | None = None,
    top: int | None = None,
    threads: int | None = None,
    segments: Path | None = None,
    format: Literal["csv", "jsonl", "eaf", "vtt"] | None = None,
    window: float | None = None,
    stride: float | None = None,
    threshold: float = THRESHOLD,
    camera: int | None = None,
    realtime: bool = False,
    overlay: Path | None = None,
) -> int:
    """Recognise actions in cached poses (.npz), videos, folders of them, or live.

    By default each source is one clip and gives one JSON line. --segments looks at long recordings in sliding windows
    and writes what happened when. --camera and --realtime recognise live, in a window where there is a screen, with a
    JSON line for each answer; q, Esc, Ctrl-C or SIGTERM ends them. Videos and cameras need the extra `extract`;
    cached poses only the base installation.

    Args:
        model: a model.onnx, written by piumr-train-gcn or piumr-export; `synthetic` is the one that ships.
        sources: files or folders.
        out: file for the JSON lines, written when all is done, until then under its name with .partial; standard output
            if not given.
        top: how many classes a line names, best first; 5 if not given.
        threads: threads of ONNX Runtime, at most as many as there are processors; live, 1 if not given.
        segments: write segments (start, end, action, confidence) to this .csv, .jsonl, .eaf (ELAN) or .vtt (subtitles)
            file; for several sources a folder, with a file each.
        format: of the files, where --segments is a folder; csv if not given.
        window: seconds that are recognised as one clip; if not given what the model was trained on, else 2.
        stride: seconds from one window to the next; an eighth of the window if not given, live 0.1.
        threshold: confidence below which --segments says that nothing happens, 0 to 1; raise it for recordings in
            which most of the time nothing does.
        camera: recognise live from the camera of this number, usually 0.
        realtime: play the one source, a video, as if it were a camera.
        overlay: live, write what is shown as a video (.mp4) as well.
    """
    shown = 5 if top is None else top
    _check(shown, threads, threshold)
    only_segments = {"threshold": threshold != THRESHOLD, "format": format is not None}
    if camera is not None or realtime:
        if segments is not None:
            raise PiumrError("Expected either `segments` or live recognition, but got both.")
        _refuse("`segments`", only_segments)
        source = _live_source(camera, realtime, sources)
        return _live(_recognizer(model, threads or 1), source, model, out, overlay, window, stride, shown)
    if overlay is not None:
        raise PiumrError("Expected `overlay` with `camera` or `realtime`, but got it alone.")
    if not sources:
        raise PiumrError(
            f"Expected `sources` to name files or folders, or `camera` to be given, but got neither; {str(model)!r} "
            "was taken as the model, which comes first."
        )
    files = [file for source in sources for file in _files(source)]
    if segments is not None:
        if out is not None or top is not None:
            name = "top" if out is None else "out"
            raise PiumrError(f"Expected either `{name}`, for a line a source, or `segments`, but got both.")
        targets = _targets(sources, files, segments, format, model)
        recognizer = _recognizer(model, threads)
        Windows(window_seconds(recognizer) if window is None else window, stride)  # refuses lengths out of range
        with _ended_like_ctrl_c():
            failed = _write_segments(recognizer, targets, window, stride, threshold)
    else:
        _refuse("`segments`", only_segments)
        _refuse("`segments` or live recognition", {"window": window is not None, "stride": stride is not None})
        if out is not None:
            check_out(out, [model, *files])
        recognizer = _recognizer(model, threads)
        with _ended_like_ctrl_c():
            failed = _write_lines(recognizer, files, out, shown)
    if failed:
        console.print(f"{failed} of {len(files)} sources failed.")
    return SOME_FAILED if failed else OK


def _recognizer(model: Path, threads: int | None) -> Recognizer:
    """The model; what its card has to say to everybody is said."""
    recognizer = Recognizer(model, threads)
    if recognizer.card.notice:
        console.print(printable(" ".join(recognizer.card.notice.split())))
    return recognizer


def _refuse(needed: str, given: dict[str, bool]) -> None:
    """Refuse options that would have no effect."""
    for name, was_given in given.items():
        if was_given:
            raise PiumrError(f"Expected `{name}` with {needed}, but got it without.")


def _check(top: int, threads: int | None, threshold: float) -> None:
    if top < 1:
        raise PiumrError(f"Expected `top` to be at least 1, but got {top}.")
    processors = os.cpu_count() or 1
    if threads is not None and not 1 <= threads <= processors:
        raise PiumrError(f"Expected `threads` to lie in 1..{processors}, the processors there are, but got {threads}.")
    if not 0 <= threshold <= 1:
        raise PiumrError(f"Expected `threshold` to lie in 0..1, but got {threshold:g}.")


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


def _write_lines(recognizer: Recognizer, files: list[Path], out: Path | None, top: int) -> int:
    """A line for each file; how many failed."""
    failed = 0
    with _lines(out) as write:
        for file in files:
            try:
                poses = _poses(file, recognizer)
                prediction = recognizer.predict(poses)[0]
            except _ERRORS as error:
                _fail(file, error)
                failed += 1
                continue
            if prediction.label is None:
                console.print(printable(f"{file}: no person was seen, so there is no prediction."), markup=False)
            write({"source": str(file), "frames": len(poses), **prediction.to_dict(top)})
    return failed


def _poses(file: Path, recognizer: Recognizer) -> PoseSequence:
    if file.suffix.lower() == ".npz":
        return read_poses(file)
    options = options_for(recognizer)
    from pose_extract import extract_video

    ignore_deprecation()
    return extract_video(file, options)


def _targets(
    sources: list[Path],
    files: list[Path],
    segments: Path,
    format: str | None,
    model: Path,
) -> dict[Path, Path]:
    """The file to write for each source: the one that is named, or in a folder by the source's relative path."""
    if not segments.is_dir() and (segments.suffix or segments.exists()):
        check_format(segments)
        if format is not None:
            raise PiumrError(f"Expected `format` where `segments` is a folder, but {str(segments)!r} is a file.")
        if len(files) > 1:
            raise PiumrError(
                f"Expected `segments` to be a folder, since there are {len(files)} sources, but got {str(segments)!r}."
            )
        check_out(segments, [model, *files], "segments")
        _check_annotations(segments)
        return {files[0]: segments}
    named = {}
    for source in sources:
        for file in _files(source):
            named[file] = file.relative_to(source) if source.is_dir() else Path(file.name)
    stems = Counter(name.with_suffix("") for name in named.values())
    targets = {
        file: segments / (name if stems[name.with_suffix("")] > 1 else name.with_suffix(""))
        for file, name in named.items()
    }
    targets = {file: target.with_name(f"{target.name}.{format or 'csv'}") for file, target in targets.items()}
    if len(set(targets.values())) < len(targets):
        raise PiumrError("Expected `sources` of different names, but two would write the same file into `segments`.")
    check_writable(segments, "segments")
    for target in targets.values():
        _check_annotations(target)
    return targets


def _check_annotations(target: Path) -> None:
    """Refuse to write over somebody's annotations: an ``.eaf`` that was saved by ELAN."""
    if target.suffix.lower() != ".eaf" or not target.is_file():
        return
    text = target.read_bytes()
    if b'AUTHOR="piumr-infer"' not in text or b'NAME="URN"' in text:  # ELAN gives what it saves a URN
        raise PiumrError(
            f"Expected `segments` to be a new file, but {str(target)!r} was saved by ELAN, and its annotations "
            "would be lost: choose another name."
        )


def _write_segments(
    recognizer: Recognizer, targets: dict[Path, Path], window: float | None, stride: float | None, threshold: float
) -> int:
    """A file of segments for each source; how many failed."""
    failed = 0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for file, target in targets.items():
            task = progress.add_task(printable(file.name).replace("[", r"\["), total=None)
            try:
                recording = Recording(file, recognizer)
                progress.update(task, total=recording.seconds or None)
                parts = []
                for part in slide_chunks(recognizer, recording, window, stride):
                    parts.append(part)
                    progress.update(task, completed=float(part.ends[-1]))
                timeline = Timeline.join(parts)
                found = find_segments(timeline, threshold)
                write_segments(target, found, None if file.suffix.lower() == ".npz" else file)
            except _ERRORS as error:
                _fail(file, error)
                failed += 1
                continue
            finally:
                progress.remove_task(task)
            console.print(printable(f"{file}: {_summary(found, timeline, threshold)}: {target}"), markup=False)
    return failed


def _summary(found: list[Segment], timeline: Timeline, threshold: float) -> str:
    if not timeline.seen.any():
        return "no person was seen, so there are no segments"
    if not found:
        best = float(np.nanmax(timeline.probabilities))
        return f"no segment, since the highest confidence is {best:.2f} (--threshold {threshold:g})"
    return f"{len(found)} segments of {len({s.action for s in found})} actions in {timeline.ends[-1]:.1f} s"


def _live_source(camera: int | None, realtime: bool, sources: list[Path]) -> int | Path:
    if camera is not None:
        if realtime or sources:
            raise PiumrError("Expected either `camera` or a video with `realtime`, but got both.")
        if camera < 0:
            raise PiumrError(f"Expected `camera` to be 0 or more, but got {camera}.")
        return camera
    if len(sources) != 1:
        raise PiumrError(f"Expected one video with `realtime`, but got {len(sources)} sources.")
    if not sources[0].is_file() or sources[0].suffix.lower() == ".npz":
        raise PiumrError(f"Expected one video with `realtime`, but {str(sources[0])!r} is none.")
    return sources[0]


def _live(
    recognizer: Recognizer,
    source: int | Path,
    model: Path,
    out: Path | None,
    overlay: Path | None,
    window: float | None,
    stride: float | None,
    top: int,
) -> int:
    inputs = [model] if isinstance(source, int) else [model, source]
    for name, target in (("out", out), ("overlay", overlay)):
        if target is not None:
            check_out(target, inputs, name)
    if out is not None and overlay is not None and out.resolve() == overlay.resolve():
        raise PiumrError(f"Expected `out` and `overlay` to be two files, but both are {str(out)!r}.")
    if overlay is not None and overlay.suffix.lower() != ".mp4":
        raise PiumrError(f"Expected `overlay` to end in .mp4, but got {str(overlay)!r}.")
    from pose_extract.environment import require_extra

    require_extra()
    from piumr.inference import live, live_view
    from piumr.inference.live_pose import PoseProcess

    views: list[live.Open] = [live_view.window] if live_view.has_screen() else []
    has_window = bool(views)
    if overlay is not None:
        views.append(partial(live_view.overlay, path=overlay))
    stride = live.STRIDE if stride is None else stride
    Windows(window_seconds(recognizer) if window is None else window, stride)  # refuses lengths out of range
    with PoseProcess(source, options_for(recognizer), bool(views)) as process, _lines(out) as write:
        if not has_window:
            console.print("There is no screen: going on without a window.")
        report = live.run_live(recognizer, process, write, views, window, stride, top)
    name = f"camera {source}" if isinstance(source, int) else str(source)
    console.print(printable(f"{name}: {report}"), markup=False)
    if report.error is not None:
        fail(report.error)
    return OK if report.error is None else SOME_FAILED


@contextlib.contextmanager
def _lines(out: Path | None) -> Iterator[Any]:
    """What writes a JSON line to ``out`` or standard output.

    ``out`` takes its name when all is done; what was written by then is kept when something ends the command before.
    """
    if out is None:
        yield partial(_write_line, sys.stdout.buffer)
        return
    out = out.resolve()  # a link stays a link
    unfinished = out.with_name(f"{out.name}.partial")
    with unfinished.open("wb") as file:
        try:
            yield partial(_write_line, file)
        except BaseException:
            if file.tell():
                console.print(printable(f"The lines so far are in {unfinished}."))
            else:
                unfinished.unlink()
            raise
        os.fsync(file.fileno())
        os.replace(unfinished, out)


def _write_line(file: IO[bytes], record: dict[str, Any]) -> None:
    """Write a JSON line as UTF-8, whatever the terminal's encoding is."""
    line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    file.write(line.encode("utf-8", "replace"))  # a file name may hold bytes that are no text
    file.flush()


@contextlib.contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """What ends a process in order does so as Ctrl-C does: job schedulers, `docker stop`, a closed terminal."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    wanted = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == signal.SIG_DFL]
    for number in wanted:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in wanted:
            signal.signal(number, signal.SIG_DFL)


def _fail(file: Path, error: Exception) -> None:
    fail(str(error) if str(file) in str(error) else f"{file}: {error}")
