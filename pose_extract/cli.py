"""The command ``piumr-extract``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from jsonargparse import ActionYesNo

from pose_extract.contact_sheet import NAME as PAGE
from pose_extract.environment import opencv_warning
from pose_extract.errors import PoseError
from pose_extract.index import NAME
from pose_extract.parser import CommandParser, printable
from pose_extract.resume import Outcome
from pose_extract.runner import Summary, extract
from pose_extract.units import DISK_FULL

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, job schedulers and `docker stop`, a closed terminal: all end a run cleanly."""

LISTED = 20
"""Videos that are listed by name at the end; the index has all of them."""

DESCRIPTION = """\
Estimate the body and hand keypoints of every video under a folder with MediaPipe, several videos at a time.

  piumr-extract videos/                    videos/a/b.mp4 gives poses/a/b.npz
  piumr-extract videos/ --out elsewhere/   ... gives elsewhere/a/b.npz
  piumr-extract talk.mp4 --landmarks body  one video, the body alone
  piumr-extract videos/ --preview          and look at poses/index.html

Start it again after a crash, Ctrl-C or with new videos: what is done is skipped. A video that fails is listed and
recorded, and the others go on. Exit code: 0 all well, 1 some videos failed, 2 wrong usage, 130 stopped by Ctrl-C."""


def main() -> None:
    """Run ``piumr-extract`` with the arguments of the command line, and exit with its code."""
    parser = CommandParser(prog="piumr-extract", description=DESCRIPTION)
    parser.add_argument("--config", action="config", help="take options from a YAML file; --print_config makes one")
    own = {"region", "smoothing", "preview", "shard", "retry_failed"}
    parser.add_function_arguments(
        extract, as_group=False, as_positional=True, fail_untyped=False, skip={*own, "console"}
    )
    parser.add_argument(
        "--region",
        type=_numbers("x,y,width,height", float, ",", 4),
        help="part of the image to look at: x,y,width,height as shares (0..1) of the image, from its top left",
    )
    parser.add_argument(
        "--smoothing",
        action=ActionYesNo(no_prefix="no-"),
        default=True,
        help="smooth the body over time; it filters micro-motion as well as noise",
    )
    parser.add_argument(
        "--preview",
        action=ActionYesNo(no_prefix="no-"),
        default=False,
        help="write an overlay video per clip, and OUT/index.html to look at all of them",
    )
    parser.add_argument(
        "--shard", type=_numbers("i/n", int, "/", 2), help="i/n: only the i-th of n parts of the videos, for job arrays"
    )
    parser.add_argument(
        "--retry-failed",
        action=ActionYesNo(no_prefix="no-"),
        default=False,
        help="try again what failed before with the same video and options",
    )
    try:
        arguments = parser.parse_args()
    except UnicodeDecodeError as error:  # the configuration file
        parser.error(f"--config: {error}")
    del arguments["config"]
    for number in _STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _stop)
    try:
        sys.exit(_run(arguments.as_dict()))
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        _complain("stopped; finished videos are kept, and the same command goes on from there")
        sys.exit(130)
    except PoseError as error:
        _complain(str(error))
        sys.exit(2)


def _stop(*_: object) -> None:
    """Stop, and let nobody disturb the stopping."""
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _numbers(form: str, kind: type[int] | type[float], separator: str, count: int) -> Callable[[Any], Any]:
    """A type for the parser: ``count`` numbers in one word, or, from a YAML file, in a list."""

    def parse(value: Any) -> tuple[int | float, ...]:
        try:
            numbers = tuple(kind(part) for part in (value.split(separator) if isinstance(value, str) else value))
        except (TypeError, ValueError):
            numbers = ()
        if len(numbers) != count or (not isinstance(value, str) and list(numbers) != list(value)):
            raise ValueError(f"expected {form}, but got {value!r}")
        return numbers

    parse.__name__ = parse.__qualname__ = form  # as help and errors show it
    return parse


def _run(arguments: dict[str, object]) -> int:
    warning = opencv_warning()
    if warning is not None:
        _complain(f"warning: {warning}")
    out = Path(str(arguments["out"]))
    try:
        summary = extract(**arguments)  # type: ignore[arg-type]
    except OSError as error:
        full = error.errno in DISK_FULL
        _complain(f"no space left for {out}/" if full else f"cannot go on: {error}")
        _complain("finished videos are kept: clear this up and run the same command again")
        return 1
    _report(summary, out)
    return 1 if summary.select("failed") else 0


def _report(summary: Summary, out: Path) -> None:
    done, empty = summary.select("done"), summary.select("empty")
    now = [outcome for outcome in summary.outcomes if not outcome.earlier]
    skipped = [outcome for outcome in (*done, *empty) if outcome.earlier]
    failed = summary.select("failed")
    if now:
        time = timedelta(seconds=round(summary.seconds))
        rate = f"{summary.frames} frames in {time}, {summary.frames / max(summary.seconds, 1e-9):.0f} frames/s"
    else:
        rate = "nothing left to do"
    counts = f"{len(now) - len([o for o in failed if not o.earlier])} extracted, {len(skipped)} skipped (done before)"
    videos = f"{len(summary.outcomes)} video{'s' * (len(summary.outcomes) != 1)}"
    print(f"{videos}: {counts}, {len(empty)} without a person, {len(failed)} failed; {rate}")
    _list("without a person", empty, out)
    _list("failed", failed, out)
    _list("done", [outcome for outcome in (*done, *empty) if outcome.reason], out)
    if any(outcome.earlier for outcome in failed):
        print("  --retry-failed tries again what failed in an earlier run")
    page = f"to look at them: {out / PAGE}" if summary.no_page is None else summary.no_page
    print(f"Keypoints are in {out}/, with a line per video in {out / NAME}; {page}")
    if done:
        print(f"Next: piumr-train-gcn --poses {out}/")


def _list(title: str, outcomes: list[Outcome], out: Path) -> None:
    for outcome in outcomes[:LISTED]:
        print(printable(f"  {title}: {outcome.source}" + (f": {outcome.reason}" if outcome.reason else "")))
    if len(outcomes) > LISTED:
        print(f"  {title}: {len(outcomes) - LISTED} more, see {out / NAME}")


def _complain(line: str) -> None:
    print(printable(f"piumr-extract: {line}"), file=sys.stderr)


if __name__ == "__main__":
    main()
